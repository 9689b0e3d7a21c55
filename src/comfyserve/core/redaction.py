"""What of a request may be written into a log: everything but secrets, and of long texts the beginning."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
LONGEST = 200
"""Characters of a text that are shown."""

DEEPEST = 40
SECRET_NAME = re.compile(
    r"token|secret|passw|authorization|signature|cookie|(api|access|account|private|signing)_?-?key|"
    r"(header|query)_value|connection_string|(^|_)sas($|_)|service_account",
    re.IGNORECASE,
)
SHOWN_OF_AUTH = frozenset({"type", "region", "endpoint", "username", "header_name", "query_param", "account_name"})
LOGIN = re.compile(r"(?<=://)[^/@\s]*@")
QUERY = re.compile(r"(https?://[^\s?#]*\?)[^\s#]*", re.IGNORECASE)


def redacted(value: Any, depth: int = 0) -> Any:
    """The same as JSON without secrets: values of telling names, all of an `auth` but its kind, logins and queries of
    addresses (signed links are secrets). Long texts are cut."""
    if isinstance(value, str):
        return _text(value)
    if depth > DEEPEST and isinstance(value, Mapping | list | tuple):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(name): _field(str(name), one, depth) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(one, depth + 1) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else _text(repr(value))


def _field(name: str, value: Any, depth: int) -> Any:
    if name == "auth" and isinstance(value, Mapping):
        return {str(key): redacted(one) if key in SHOWN_OF_AUTH else HIDDEN for key, one in value.items()}
    if (
        SECRET_NAME.search(name)
        and isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and value != ""
    ):
        return HIDDEN
    return redacted(value, depth + 1)


def _text(text: str) -> str:
    if len(text) > LONGEST:
        return f"{_bare(text[:LONGEST])}... ({len(text)} characters)"
    return _bare(text)


def _bare(text: str) -> str:
    return QUERY.sub(rf"\g<1>{HIDDEN}", LOGIN.sub("", text))
