"""Checks of what callers send, before it is stored."""

import json
from typing import Any

from comfyserve.core.errors import InvalidInput, Place, TooLarge
from comfyserve.core.limits import MAX_NAME


def check_text(field: str, value: str, limit: int = MAX_NAME, *, empty: bool = False) -> str:
    """The text without blanks around it. Raises InvalidInput when it is empty, too long or not storable."""
    text = value.strip()
    if not text and not empty:
        raise InvalidInput(f"{field} must not be empty.", place=Place(field=field))
    if len(text) > limit:
        raise InvalidInput(
            f"{field} has {len(text)} characters; at most {limit} are allowed.", place=Place(field=field)
        )
    if "\x00" in text or (not text.isprintable() and not _is_unicode(text)):
        raise InvalidInput(f"{field} holds characters that cannot be stored.", place=Place(field=field))
    return text


def check_json(field: str, value: Any, limit: int) -> None:
    """Raise TooLarge when the JSON of `value` has more than `limit` bytes, InvalidInput when it has none."""
    try:
        size = len(json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"{field} cannot be stored: it holds NaN, an infinity, half a character or too many levels.",
            place=Place(field=field),
        ) from error
    if size > limit:
        raise TooLarge(f"{field} is larger than the limit of {limit} bytes.", place=Place(field=field))


def _is_unicode(text: str) -> bool:
    """Whether a text has no half of a surrogate pair."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
