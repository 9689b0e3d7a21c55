"""EXR files written the long way round, to hold the package's reader against: one byte after the other."""

import itertools
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

COMPRESSIONS = {"NONE": (0, 1), "RLE": (1, 1), "ZIPS": (2, 1), "ZIP": (3, 16), "PIZ": (4, 32), "DWAA": (8, 32)}
TYPES = {"uint": (0, "<u4"), "half": (1, "<f2"), "float": (2, "<f4")}


def exr_file(
    planes: Mapping[str, np.ndarray], compression: str, type_name: str, top: int = 0, packed: bytes | None = None
) -> bytes:
    """A scanline file of these channels; `packed` stands for the content of each chunk instead of its own."""
    number, step = COMPRESSIONS[compression]
    kind, letter = TYPES[type_name]
    names = sorted(planes)
    height, width = planes[names[0]].shape
    head = _head(names, number, kind, (0, top, width - 1, top + height - 1))
    chunks = []
    for row in range(0, height, step):
        rows = range(row, min(row + step, height))
        raw = b"".join(planes[name][line].astype(letter).tobytes() for line in rows for name in names)
        data = packed if packed is not None else _compressed(raw, compression)
        chunks.append(struct.pack("<ii", top + row, len(data)) + data)
    position = len(head) + 8 * len(chunks)
    offsets = b""
    for chunk in chunks:
        offsets += struct.pack("<Q", position)
        position += len(chunk)
    return head + offsets + b"".join(chunks)


def _head(names: list[str], compression: int, kind: int, window: tuple[int, int, int, int]) -> bytes:
    channels = b"".join(name.encode() + b"\0" + struct.pack("<iiii", kind, 0, 1, 1) for name in names) + b"\0"
    box = struct.pack("<iiii", *window)
    attributes: list[tuple[str, str, bytes]] = [
        ("channels", "chlist", channels),
        ("compression", "compression", bytes([compression])),
        ("dataWindow", "box2i", box),
        ("displayWindow", "box2i", box),
        ("lineOrder", "lineOrder", b"\0"),
        ("owner", "string", b"someone"),
    ]
    body = b"".join(f"{a}\0{b}\0".encode() + struct.pack("<i", len(c)) + c for a, b, c in attributes)
    return struct.pack("<ii", 20000630, 2) + body + b"\0"


def _compressed(raw: bytes, compression: str) -> bytes:
    if compression == "NONE":
        return raw
    halves = raw[0::2] + raw[1::2]
    steps = bytearray(halves[:1])
    for before, after in itertools.pairwise(halves):
        steps.append((after - before + 128) % 256)
    data = _runs(bytes(steps)) if compression == "RLE" else zlib.compress(bytes(steps))
    return data if len(data) < len(raw) else raw


def _runs(data: bytes) -> bytes:
    out: Any = bytearray()
    position = 0
    while position < len(data):
        length = 1
        while length < 127 and position + length < len(data) and data[position + length] == data[position]:
            length += 1
        out += struct.pack("b", length - 1) + data[position : position + 1]
        position += length
    return bytes(out)
