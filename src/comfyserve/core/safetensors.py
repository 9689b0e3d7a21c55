"""The head of a safetensors file: 8 bytes of length, little endian, then the header, which is a JSON object."""

import json
from pathlib import Path
from typing import Any, BinaryIO

METADATA = "__metadata__"
"""The texts of the header: name -> text."""

MAX_HEADER = 100 * 1024 * 1024
"""Bytes of the longest header that the format's own library reads."""

_LENGTH_BYTES = 8


def is_safetensors(path: Path) -> bool:
    """Whether a file begins like one: the length of its header, and the header's JSON object. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_LENGTH_BYTES + 1)
    return head[_LENGTH_BYTES:] == b"{" and int.from_bytes(head[:_LENGTH_BYTES], "little") <= MAX_HEADER


def read_header_text(file: BinaryIO, most: int) -> bytes | None:
    """The header as it is written; None when it would be longer than `most` bytes or than the file."""
    start = file.read(_LENGTH_BYTES)
    length = int.from_bytes(start, "little")
    if len(start) < _LENGTH_BYTES or length > most:
        return None
    text = file.read(length)
    return text if len(text) == length else None


def read_header(file: BinaryIO, most: int) -> dict[str, Any] | None:
    """The header, after which the file stands at its data; None for one over `most` bytes and for other files."""
    text = read_header_text(file, most)
    if text is None or not text.startswith(b"{"):
        return None
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None
