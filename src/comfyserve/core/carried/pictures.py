"""Texts in pictures: PNG text chunks and the EXIF data of WEBP."""

import struct
import zlib
from collections.abc import Iterator

MAX_TEXT = 32 * 1024 * 1024
"""Most bytes that one compressed text may unfold to."""

PNG = b"\x89PNG\r\n\x1a\n"
ASCII = 2
"""The EXIF type of a text."""
ENTRY = 12


def png(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The text chunks of a PNG, also those of an animated one."""
    at = len(PNG)
    while data.startswith(PNG) and at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        name, _, rest = data[at + 8 : at + 8 + size].partition(b"\x00") if kind in TEXT_CHUNKS else (b"", b"", b"")
        if name:
            yield name.decode("latin-1"), TEXT_CHUNKS[kind](rest)
        at += 12 + size


def webp(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The texts `name:text` in the EXIF data of a WEBP."""
    at = 12
    while data.startswith(b"RIFF") and data[8:12] == b"WEBP" and at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            yield from _exif(data[at + 8 : at + 8 + size].removeprefix(b"Exif\x00\x00"))
        at += 8 + size + size % 2


def _exif(data: bytes) -> Iterator[tuple[str, bytes]]:
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    if start + 2 > len(data):
        return
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for at in range(start + 2, min(start + 2 + count * ENTRY, len(data) - ENTRY + 1), ENTRY):
        _tag, kind, size, offset = struct.unpack_from(f"{order}HHII", data, at)
        name, sign, text = data[offset : offset + size].partition(b":") if kind == ASCII else (b"", b"", b"")
        if sign:
            yield name.decode("latin-1"), text


def _compressed(rest: bytes) -> bytes:
    return _inflated(rest[1:])


def _international(rest: bytes) -> bytes:
    """After the name: whether it is compressed, how, the language, the translated name."""
    text = rest[2:].partition(b"\x00")[2].partition(b"\x00")[2]
    return _inflated(text) if rest[:1] == b"\x01" else text


def _plain(rest: bytes) -> bytes:
    return rest.decode("latin-1").encode()


def _private(rest: bytes) -> bytes:
    return rest


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT)
    except zlib.error:
        return b""


TEXT_CHUNKS = {b"tEXt": _plain, b"zTXt": _compressed, b"iTXt": _international, b"comf": _private}
