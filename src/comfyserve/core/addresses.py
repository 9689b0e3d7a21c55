"""What tells an address of a file from the name of one that an engine has."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeGuard
from urllib.parse import unquote, urlsplit

from comfyserve.core.buckets import SCHEMES
from comfyserve.core.errors import InvalidInput

ASSET_PREFIX = "asset:"
DATA_PREFIX = "data:"

SourceKind = Literal["http", "s3", "azure", "gcs", "hf", "git", "added"]

SOURCES: Mapping[str, SourceKind] = {
    "http": "http",
    "https": "http",
    **SCHEMES,
    "hf": "hf",
    "git+https": "git",
    "git+http": "git",
}
"""Scheme -> where files come from: what Fetch takes, besides data URIs."""

SCHEME_END = "://"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,19}")
_added: set[str] = set()
_UNKNOWN = re.compile(r"[a-z][a-z0-9+.-]+://|https?:", re.IGNORECASE)
MAX_SHOWN = 120
LONGEST_SCHEME = 24
NOT_TO_ADD = frozenset({"data", "asset", "file", "ftp", "javascript"})


def add_schemes(schemes: Iterable[str]) -> None:
    """Let addresses of an operator's own storages count as such in this process. Raises InvalidInput for a scheme that
    cannot be, or that is known already."""
    for scheme in schemes:
        if not _SCHEME.fullmatch(scheme) or scheme in SOURCES or scheme in NOT_TO_ADD:
            raise InvalidInput(f"No storage can be added for the scheme {scheme!r}.")
        _added.add(scheme)


def added_schemes() -> frozenset[str]:
    """Those."""
    return frozenset(_added)


def url_prefixes() -> tuple[str, ...]:
    """How addresses begin that are fetched over the network."""
    return tuple(f"{scheme}{SCHEME_END}" for scheme in (*SOURCES, *sorted(_added)))


def is_outside(value: Any) -> TypeGuard[str]:
    """Whether a value names a file by URL, data URI or asset, and not one the engine has already."""
    return isinstance(value, str) and (is_url(value) or value.lower().startswith((DATA_PREFIX, ASSET_PREFIX)))


def is_url(value: Any) -> TypeGuard[str]:
    """Whether a value is an address that is fetched over the network."""
    if not isinstance(value, str):
        return False
    scheme, found, _ = value[:LONGEST_SCHEME].lower().partition(SCHEME_END)
    return bool(found) and (scheme in SOURCES or scheme in _added)


def tells_address(value: Any) -> bool:
    """Whether an address is anywhere in a JSON value; a text that speaks of one counts, too."""
    left = [value]
    while left:
        match left.pop():
            case str(text):
                if SCHEME_END in text:
                    return True
            case list(items):
                left += items
            case dict(fields):
                left += fields.values()
    return False


def is_unknown_address(value: str) -> bool:
    """Whether a value is an address of a kind that nobody fetches, such as `ftp://host/x` or `http:host/x`."""
    return not is_outside(value) and _UNKNOWN.match(value) is not None


def is_data(value: str) -> bool:
    """Whether a value brings its bytes with it."""
    return value[: len(DATA_PREFIX)].lower() == DATA_PREFIX


def is_web_address(value: str) -> bool:
    """Whether a value is a whole http or https URL, with a host and, if any, a port that can be."""
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def asset_of(value: str) -> str | None:
    """The id that `asset:<id>` names, in capitals or not; None for anything else."""
    is_asset = value[: len(ASSET_PREFIX)].lower() == ASSET_PREFIX
    return value[len(ASSET_PREFIX) :] if is_asset else None


def public_name(url: str) -> str:
    """What people may be told of an address: its host and the last part of its path, no user, no query."""
    if is_data(url):
        return "data"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "an address"
    last = "".join(sign for sign in unquote(parts.path).rstrip("/").rpartition("/")[2] if sign.isprintable())
    return (f"{host}/{last}" if host and last else host or last)[:MAX_SHOWN]
