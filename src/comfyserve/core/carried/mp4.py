"""Tags of MP4 and MOV files: boxes in boxes (ISO/IEC 14496-12), tags as QuickTime's keys or iTunes' list."""

import struct
from collections.abc import Iterator

MAX_BOXES = 10_000
NOTHING_BEFORE, VERSION_BEFORE = 0, 4
CONTAINERS = {b"moov": NOTHING_BEFORE, b"udta": NOTHING_BEFORE, b"meta": VERSION_BEFORE}
"""Boxes on the way to the tags, and how many bytes stand before what is in them."""

ITUNES_COMMENT = b"\xa9cmt"
VALUE_AT = 8
"""Where the text begins in a box of data, after its type and language."""


def tags(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The tags of the file as a whole."""
    if data[4:8] != b"ftyp":
        return
    left = MAX_BOXES
    waiting = [(0, len(data))]
    while waiting and left > 0:
        start, end = waiting.pop()
        names: list[str] = []
        for kind, at, stop in _boxes(data, start, end):
            left -= 1
            if kind in CONTAINERS:
                waiting.append((_content(data, kind, at), stop))
            elif kind == b"keys":
                names = list(_names(data, at, stop))
            elif kind == b"ilst":
                yield from _values(data, at, stop, names)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes in a span: kind, where the content begins, where it ends."""
    at, left = start, MAX_BOXES
    while at + 8 <= end and left > 0:
        size, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, begin)
            begin = at + 16
        stop = end if size == 0 else min(at + size, end)
        if stop < begin:
            return
        yield kind, begin, stop
        at, left = stop, left - 1


def _content(data: bytes, kind: bytes, at: int) -> int:
    """QuickTime's `meta` has no version before its boxes, ISO's has."""
    return at if kind == b"meta" and data[at + 4 : at + 8] == b"hdlr" else at + CONTAINERS[kind]


def _names(data: bytes, at: int, stop: int) -> Iterator[str]:
    for _kind, begin, end in _boxes(data, at + 8, stop):
        yield data[begin:end].decode("utf-8", errors="replace")


def _values(data: bytes, at: int, stop: int, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for kind, begin, end in _boxes(data, at, stop):
        index = int.from_bytes(kind) - 1
        name = "comment" if kind == ITUNES_COMMENT else names[index] if 0 <= index < len(names) else ""
        for inner, value, last in _boxes(data, begin, end):
            if name and inner == b"data":
                yield name, data[value + VALUE_AT : last]
