"""Texts in FLAC comments, in the header of a safetensors file (a latent), and in the metadata of an SVG."""

import json
import struct
from collections.abc import Iterator

FLAC = b"fLaC"
COMMENTS = 4
LAST_BLOCK = 0x80
MAX_COMMENTS = 10_000
MAX_HEADER = 32 * 1024 * 1024
METADATA = b"<metadata>"
CDATA, CDATA_END = b"<![CDATA[", b"]]>"


def flac(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The Vorbis comments of a FLAC file."""
    at, last = len(FLAC), not data.startswith(FLAC)
    while not last and at + 4 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4])
        if kind & ~LAST_BLOCK == COMMENTS:
            yield from _comments(data[at + 4 : at + 4 + size])
        at, last = at + 4 + size, bool(kind & LAST_BLOCK)


def _comments(block: bytes) -> Iterator[tuple[str, bytes]]:
    at = 4 + _length(block, 0) + 4
    for _ in range(MAX_COMMENTS):
        size = _length(block, at)
        if at + 4 > len(block):
            return
        name, _, text = block[at + 4 : at + 4 + size].partition(b"=")
        yield name.decode("utf-8", errors="replace"), text
        at += 4 + size


def _length(block: bytes, at: int) -> int:
    return int.from_bytes(block[at : at + 4], "little")


def safetensors(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The metadata in the header of a safetensors file, such as a saved latent."""
    if len(data) < 9 or data[8:9] != b"{":
        return
    (size,) = struct.unpack_from("<Q", data)
    try:
        header = json.loads(data[8 : 8 + min(size, MAX_HEADER)])
    except (ValueError, RecursionError):
        return
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    for name, text in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(text, str):
            yield name, text.encode("utf-8", errors="replace")


def svg(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The JSON in the metadata of an SVG, which holds both forms."""
    start = data.find(METADATA) if b"<svg" in data[:4096] else -1
    text = data[start:].removeprefix(METADATA).lstrip() if start >= 0 else b""
    if text.startswith(CDATA):
        yield "comment", text[len(CDATA) :].partition(CDATA_END)[0].strip()
