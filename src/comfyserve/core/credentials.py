"""Credentials that a caller gives for the addresses of one request (stateless-comfyui-api.md section 3.6).

Secrets stand in fields that no `repr` shows. They are never echoed and never logged.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from comfyserve.core.addresses import is_data, is_web_address
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.headers import is_for_callers, is_value
from comfyserve.core.limits import MAX_TOKEN, MAX_URL
from comfyserve.core.patterns import MAX_WILDCARDS, fits, wildcards

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
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_KEY_FIELDS = ("client_email", "private_key_id", "private_key")
_LINES = str.maketrans(dict.fromkeys("\t\r\n"))


@dataclass(frozen=True)
class Credential:
    """What opens the addresses that a pattern names (see core/patterns); never what brings its bytes with it."""

    url_pattern: str
    auth: Auth

    def matches(self, url: str) -> bool:
        """Whether the whole URL, as it was given, fits the pattern."""
        return len(url) <= MAX_URL and not is_data(url) and fits(self.url_pattern, url)


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
    kind = AUTH_TYPES.get(str(value.get("type"))) if isinstance(value, Mapping) else None
    if kind is None:
        raise _wrong(f"{field_name}.type must be one of {', '.join(AUTH_TYPES)}.", field_name)
    given: dict[str, str] = {}
    for known in fields(kind):
        text = value.get(known.name)
        if text is None and known.default is not MISSING:
            continue
        given[known.name] = _read_text(known.name, text, f"{field_name}.{known.name}")
    return kind(**given)


def write_auth(auth: Auth) -> dict[str, str]:
    """The object that `read_auth` reads, secrets and all: for encrypted storage only."""
    name = next(name for name, kind in AUTH_TYPES.items() if isinstance(auth, kind))
    values = {known.name: getattr(auth, known.name) for known in fields(auth)}
    return {"type": name} | {key: value for key, value in values.items() if value is not None}


def is_readable(credential: Credential) -> bool:
    """Whether `read_credentials` would take it."""
    try:
        _read_one({"url_pattern": credential.url_pattern, "auth": write_auth(credential.auth)}, "credential")
    except InvalidInput:
        return False
    return True


def is_region(text: str) -> bool:
    """Whether a region may be called so: it becomes part of the name of a host."""
    return _REGION.fullmatch(text) is not None


def is_account(text: str) -> bool:
    """Whether an Azure account may be called so: it becomes part of the name of a host."""
    return _ACCOUNT.fullmatch(text) is not None


def _is_service_account(text: str) -> bool:
    try:
        account = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(account, dict) and all(isinstance(account.get(name), str) for name in _KEY_FIELDS)


_SHAPES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "region": (is_region, "must be the name of a region, such as eu-west-1."),
    "account_name": (is_account, "must be the name of an Azure account: 3 to 24 small letters and digits."),
    "service_account_json": (_is_service_account, "must be the JSON key of a Google service account."),
    "endpoint": (is_web_address, "must be an http or https URL."),
    "username": (lambda text: ":" not in text, "cannot have a colon, which parts it from the password."),
    "header_name": (is_for_callers, "names a header that cannot be set."),
    "header_value": (is_value, "has characters that no header can carry."),
}
"""Field -> what its text must be, and the sentence when it is not."""


def _read_one(item: Any, field_name: str) -> Credential:
    pattern = item.get("url_pattern") if isinstance(item, Mapping) else None
    place = f"{field_name}.url_pattern"
    if not isinstance(pattern, str) or not pattern or len(pattern) > MAX_URL or not pattern.isprintable():
        raise _wrong(f"{place} must be a text of 1 to {MAX_URL} printable characters.", place)
    if wildcards(pattern) > MAX_WILDCARDS:
        raise _wrong(f"{place} has more than {MAX_WILDCARDS} wildcards. Use ** for several of them.", place)
    return Credential(pattern, read_auth(item.get("auth"), f"{field_name}.auth"))


def _read_text(name: str, text: Any, place: str) -> str:
    """One field of a credential. A service account is JSON, which may have lines; nothing else has control characters
    or halves of characters, which no header, key or address can carry."""
    longest = MAX_SERVICE_ACCOUNT if name == "service_account_json" else MAX_TOKEN
    plain = text.translate(_LINES) if isinstance(text, str) and name == "service_account_json" else text
    if not isinstance(plain, str) or len(plain) > longest or not plain.isprintable():
        raise _wrong(f"{place} must be a text of at most {longest} printable characters.", place)
    fits_shape, sentence = _SHAPES.get(name, (bool, ""))
    if sentence and not fits_shape(plain):
        raise _wrong(f"{place} {sentence}", place)
    return str(text)


def _wrong(sentence: str, field_name: str) -> InvalidInput:
    return InvalidInput(sentence, place=Place(field=field_name))
