"""The head of a safetensors file: 8 bytes of length, little endian, then a JSON object."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("<Q")


def header(path: Path, most: int) -> dict[str, Any] | None:
    """The object at the start of the file; None when it is longer than `most` bytes or the file is another kind."""
    with path.open("rb") as file:
        start = file.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(start)
        if length > most:
            return None
        text = file.read(length)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
