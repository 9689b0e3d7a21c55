"""JSON as JavaScript writes it: receivers may check a signature over what they have read and written again."""

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(value: Any) -> bytes:
    """A JSON value without blanks, letters as they are, whole numbers without a dot, keys that are whole numbers in
    ascending order before all others, and `null` for what is no number (stateless-comfyui-api.md, section 4.1)."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        plain = {key: _plain(item) for key, item in value.items()}
        numbered = sorted((key for key in plain if _is_index(key)), key=int)
        rest = [key for key in plain if not _is_index(key)] if numbered else plain
        return {key: plain[key] for key in (*numbered, *rest)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _number(value: float) -> int | float | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _is_index(key: str) -> bool:
    """Whether JavaScript takes a key for the index of an array."""
    return (
        key.isascii() and key.isdecimal() and (key == "0" or key[0] != "0") and len(key) < 11 and int(key) < 2**32 - 1
    )
