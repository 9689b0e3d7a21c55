"""Credentials that a caller gives for the addresses of one request (stateless-comfyui-api.md section 3.6).

Secrets stand in fields that no `repr` shows. They are never echoed and never logged.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from typing import Any

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.limits import MAX_TOKEN, MAX_URL

MAX_CREDENTIALS = 100


@dataclass(frozen=True)
class BearerAuth:
    """`Authorization: Bearer <token>`; also a Hugging Face token."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class BasicAuth:
    """`Authorization: Basic`."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class HeaderAuth:
    """One header of the caller's choice."""

    header_name: str
    header_value: str = field(repr=False)


@dataclass(frozen=True)
class QueryAuth:
    """One parameter of the query, set or replaced."""

    query_param: str
    query_value: str = field(repr=False)


@dataclass(frozen=True)
class S3Auth:
    """An S3 client of its own."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class AzureAuth:
    """An Azure storage account, by key or by shared access signature."""

    account_name: str
    account_key: str | None = field(default=None, repr=False)
    sas_token: str | None = field(default=None, repr=False)
    endpoint: str | None = None


@dataclass(frozen=True)
class GcsAuth:
    """A Google service account: the JSON text of its key."""

    service_account_json: str = field(repr=False)
    endpoint: str | None = None


Auth = BearerAuth | BasicAuth | HeaderAuth | QueryAuth | S3Auth | AzureAuth | GcsAuth

AUTH_TYPES: Mapping[str, type[Auth]] = {
    "bearer": BearerAuth,
    "basic": BasicAuth,
    "header": HeaderAuth,
    "query": QueryAuth,
    "s3": S3Auth,
    "azure": AzureAuth,
    "gcs": GcsAuth,
}
"""The word in `type` and what it means; `azure` and `gcs` are ours, the rest is comfyui-api's."""

MAX_SERVICE_ACCOUNT = 16_384


@dataclass(frozen=True)
class Credential:
    """What opens the addresses that a pattern names: `**` any run of characters, `*` any run without `/`, `?` one."""

    url_pattern: str
    auth: Auth

    def matches(self, url: str) -> bool:
        """Whether the whole URL, as it was given, fits the pattern."""
        return _compiled(self.url_pattern).fullmatch(url) is not None


def auth_for(url: str, credentials: Iterable[Credential]) -> Auth | None:
    """The first that matches."""
    return next((credential.auth for credential in credentials if credential.matches(url)), None)


def read_credentials(value: Any, field_name: str = "credentials") -> tuple[Credential, ...]:
    """Credentials from JSON: a list of `{url_pattern, auth: {type, ...}}`. Raises InvalidInput; it quotes no secret."""
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_CREDENTIALS:
        raise _wrong(f"{field_name} is a list of at most {MAX_CREDENTIALS} objects.", field_name)
    return tuple(_read_one(item, f"{field_name}[{index}]") for index, item in enumerate(value))


def read_auth(value: Any, field_name: str = "auth") -> Auth:
    """One `{type, ...}` object. Raises InvalidInput; it quotes no secret."""
    if not isinstance(value, Mapping) or value.get("type") not in AUTH_TYPES:
        raise _wrong(f"{field_name}.type must be one of {', '.join(AUTH_TYPES)}.", field_name)
    kind = AUTH_TYPES[value["type"]]
    given: dict[str, str] = {}
    for known in fields(kind):
        text = value.get(known.name)
        if text is None and known.default is not MISSING:
            continue
        longest = MAX_SERVICE_ACCOUNT if known.name == "service_account_json" else MAX_TOKEN
        if not isinstance(text, str) or len(text) > longest or "\0" in text:
            raise _wrong(
                f"{field_name}.{known.name} must be a text of at most {longest} characters.",
                f"{field_name}.{known.name}",
            )
        given[known.name] = text
    return kind(**given)


def write_auth(auth: Auth) -> dict[str, str]:
    """The object that `read_auth` reads, secrets and all: for encrypted storage only."""
    name = next(name for name, kind in AUTH_TYPES.items() if isinstance(auth, kind))
    values = {known.name: getattr(auth, known.name) for known in fields(auth)}
    return {"type": name} | {key: value for key, value in values.items() if value is not None}


def _read_one(item: Any, field_name: str) -> Credential:
    pattern = item.get("url_pattern") if isinstance(item, Mapping) else None
    if not isinstance(pattern, str) or not pattern or len(pattern) > MAX_URL:
        raise _wrong(f"{field_name}.url_pattern must be a text of 1 to {MAX_URL} characters.", field_name)
    return Credential(pattern, read_auth(item.get("auth"), f"{field_name}.auth"))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\*\*+|\*|\?|[^*?]+", pattern)
    signs = {"*": "[^/]*", "?": "."}
    return re.compile(
        "".join(".*" if part.startswith("**") else signs.get(part) or re.escape(part) for part in parts), re.S
    )


def _wrong(sentence: str, field_name: str) -> InvalidInput:
    return InvalidInput(sentence, place=Place(field=field_name))
