"""Fields of HTTP heads (RFC 9110 section 5): what they may be called and hold, and which of them no caller sets."""

import re
from base64 import b64encode

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

NOT_FOR_CALLERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "proxy-authorization",
        "range",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
"""They decide how a message is read, so no credential sets them; in small letters."""


def is_name(text: str) -> bool:
    """Whether a header may be called so."""
    return _NAME.fullmatch(text) is not None


def is_value(text: str) -> bool:
    """Whether a header may say so."""
    return _VALUE.fullmatch(text) is not None


def is_for_callers(name: str) -> bool:
    """Whether a caller's credential may be a header of this name."""
    return is_name(name) and name.lower() not in NOT_FOR_CALLERS


def basic(username: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617). Raises UnicodeEncodeError for half a character."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"
