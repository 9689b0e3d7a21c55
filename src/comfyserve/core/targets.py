"""A caller's own place for the outputs of a run: a bucket, a Hugging Face repository, a prefix for HTTP PUT.

The fields are comfyui-api's (stateless-comfyui-api.md section 1.4), with the caller's credentials besides. Without
credentials the server's own are used, where the operator has given it some.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, get_args

from comfyserve.core.addresses import is_web_address
from comfyserve.core.credentials import (
    Auth,
    AzureAuth,
    BasicAuth,
    BearerAuth,
    GcsAuth,
    HeaderAuth,
    QueryAuth,
    S3Auth,
    read_auth,
    write_auth,
)
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.limits import MAX_URL

Names = Literal["unique", "plain"]
"""What the files are called: behind the run's id; or as the outputs are, those that do not begin with `first` behind
that, where a later run may write over them."""


@dataclass(frozen=True)
class S3Target:
    """Objects `s3://<bucket>/<prefix><name>`; no slash is put between."""

    bucket: str
    prefix: str = ""
    auth: Auth | None = None
    names: Names = "unique"
    first: str = ""


@dataclass(frozen=True)
class AzureTarget:
    """Blobs `<account>/<container>/<blob_prefix><name>`."""

    container: str
    blob_prefix: str = ""
    auth: Auth | None = None
    names: Names = "unique"
    first: str = ""


@dataclass(frozen=True)
class GcsTarget:
    """Objects `gs://<bucket>/<prefix><name>`."""

    bucket: str
    prefix: str = ""
    auth: Auth | None = None
    names: Names = "unique"
    first: str = ""


@dataclass(frozen=True)
class HfTarget:
    """Files of a Hugging Face repository (`owner/name`) at a revision, below a directory."""

    repo: str
    repo_type: Literal["model", "dataset"] = "model"
    revision: str = "main"
    directory: str = "/"
    auth: Auth | None = None
    names: Names = "unique"
    first: str = ""


@dataclass(frozen=True)
class HttpTarget:
    """PUT to `<url_prefix>/<name>`; the prefix may hold a user and a password."""

    url_prefix: str = field(repr=False)
    auth: Auth | None = None
    names: Names = "unique"
    first: str = ""


@dataclass(frozen=True)
class StorageTarget:
    """Files `<url>/<name>` of a storage that the operator added, whose scheme the url begins with."""

    url: str = field(repr=False)
    auth: Auth | None = None
    names: Names = "unique"
    first: str = ""


TargetWish = S3Target | AzureTarget | GcsTarget | HfTarget | HttpTarget | StorageTarget

TARGET_TYPES: Mapping[str, type[TargetWish]] = {
    "s3": S3Target,
    "azure": AzureTarget,
    "gcs": GcsTarget,
    "hf": HfTarget,
    "http": HttpTarget,
    "storage": StorageTarget,
}
"""The word in `type` and what it means."""

OPENED_BY: Mapping[type[TargetWish], tuple[type[Auth], ...]] = {
    S3Target: (S3Auth,),
    AzureTarget: (AzureAuth,),
    GcsTarget: (GcsAuth,),
    HfTarget: (BearerAuth,),
    HttpTarget: (BearerAuth, BasicAuth, HeaderAuth, QueryAuth),
    StorageTarget: (),
}
"""The credentials that each kind of target takes."""

REPO_TYPES = ("model", "dataset")
WORDS: Mapping[str, tuple[str, ...]] = {"repo_type": REPO_TYPES, "names": get_args(Names)}
"""Field -> the words that it takes."""


def read_target(value: Any, field_name: str = "target") -> TargetWish:
    """A target from JSON: `{type, auth?, ...}` with the fields of its kind. Raises InvalidInput, quoting no secret."""
    kind = TARGET_TYPES.get(str(value.get("type"))) if isinstance(value, Mapping) else None
    if kind is None:
        raise _wrong(f"{field_name}.type must be one of {', '.join(TARGET_TYPES)}.", f"{field_name}.type")
    names = {known.name for known in fields(kind)} | {"type"}
    if unknown := sorted(str(name) for name in value if name not in names):
        raise _wrong(f"{field_name} has no field {unknown[0][:40]!r}; it takes {', '.join(sorted(names))}.", field_name)
    given: dict[str, Any] = {}
    for known in fields(kind):
        one = value.get(known.name)
        place = f"{field_name}.{known.name}"
        if one is None and known.default is not MISSING:
            continue
        given[known.name] = _auth(one, kind, place) if known.name == "auth" else _text(one, place)
    for name, words in WORDS.items():
        if given.get(name, words[0]) not in words:
            raise _wrong(f"{field_name}.{name} must be {' or '.join(words)}.", f"{field_name}.{name}")
    if not is_web_address(given.get("url_prefix", "http://host")):
        raise _wrong(f"{field_name}.url_prefix must be an http or https URL.", f"{field_name}.url_prefix")
    return kind(**given)


def write_target(wish: TargetWish) -> dict[str, Any]:
    """The object that `read_target` reads, secrets and all: for encrypted storage only."""
    name = next(name for name, kind in TARGET_TYPES.items() if isinstance(wish, kind))
    values = {known.name: getattr(wish, known.name) for known in fields(wish) if known.name != "auth"}
    if wish.names == "unique":
        del values["names"]
    if not wish.first:
        del values["first"]
    return {"type": name, **values} | ({} if wish.auth is None else {"auth": write_auth(wish.auth)})


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_URL or not value.isprintable():
        raise _wrong(f"{place} must be a text of at most {MAX_URL} printable characters.", place)
    return value


def _auth(value: Any, kind: type[TargetWish], place: str) -> Auth:
    auth = read_auth(value, place)
    if not isinstance(auth, OPENED_BY[kind]):
        raise _wrong(f"{place} is of a kind that this target does not take.", place)
    return auth


def _wrong(sentence: str, place: str) -> InvalidInput:
    return InvalidInput(sentence, place=Place(field=place))
