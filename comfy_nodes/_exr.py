"""OpenEXR files: single-part scanline images without compression, or with RLE, ZIPS or ZIP, are read here.

What else there is (tiles, several parts, PIZ, PXR24, B44, DWA) needs the package OpenEXR beside the nodes, or an
OpenCV that was built with it.
Layout: openexr.com, "OpenEXR File Layout".
"""

import importlib
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import _host

MAGIC = 20000630
VERSION = 2
UNUSUAL_FLAGS = 0x200 | 0x800 | 0x1000
MAX_ATTRIBUTES = 1000
MAX_CHANNELS = 128

COMPRESSIONS = ("NONE", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB")
LINES = {"NONE": 1, "RLE": 1, "ZIPS": 1, "ZIP": 16}
"""Compression that is read here -> scanlines in a chunk."""

TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}
FLOAT = 2


class Unusual(ValueError):
    """A valid file of a kind that is not read here."""


@dataclass(frozen=True)
class _Channel:
    name: str
    type: np.dtype[Any]


@dataclass(frozen=True)
class _Header:
    channels: tuple[_Channel, ...]
    compression: str
    top: int
    width: int
    height: int
    end: int

    @property
    def line_bytes(self) -> int:
        return self.width * sum(channel.type.itemsize for channel in self.channels)


def read(content: bytes) -> np.ndarray:
    """The picture as float32 [H,W,C]: RGB, or RGBA when there is an alpha channel. Raises ValueError."""
    try:
        return _ordered(_read(content))
    except Unusual as unusual:
        return _read_by_library(content, unusual)
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"it is a damaged EXR file ({error})") from error


def write(samples: np.ndarray) -> bytes:
    """A float32 EXR file, ZIP compressed, of [H,W,1], [H,W,3] or [H,W,4] samples. Raises ValueError."""
    height, width, count = samples.shape
    names = {1: "Y", 3: "RGB", 4: "RGBA"}.get(count)
    if names is None:
        raise ValueError(f"A picture with {count} channels cannot be saved as EXR: it needs 1, 3 or 4.")
    order = sorted(range(count), key=lambda index: names[index])
    # Within a scanline each channel stands alone: [row, channel, column].
    lines = np.ascontiguousarray(samples[:, :, order].transpose(0, 2, 1), dtype="<f4")
    step = LINES["ZIP"]
    chunks = []
    for top in range(0, height, step):
        raw = lines[top : top + step].tobytes()
        packed = zlib.compress(_packed(raw))
        chunks.append((top, packed if len(packed) < len(raw) else raw))
    return _assembled(_head([names[index] for index in order], width, height), chunks)


def _head(names: list[str], width: int, height: int) -> bytes:
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channels = b"".join(name.encode() + b"\0" + struct.pack("<iB3xii", FLOAT, 0, 1, 1) for name in names) + b"\0"
    attributes: dict[str, tuple[str, bytes]] = {
        "channels": ("chlist", channels),
        "compression": ("compression", bytes([COMPRESSIONS.index("ZIP")])),
        "dataWindow": ("box2i", window),
        "displayWindow": ("box2i", window),
        "lineOrder": ("lineOrder", b"\0"),
        "pixelAspectRatio": ("float", struct.pack("<f", 1)),
        "screenWindowCenter": ("v2f", struct.pack("<2f", 0, 0)),
        "screenWindowWidth": ("float", struct.pack("<f", 1)),
    }
    parts = [struct.pack("<2i", MAGIC, VERSION)]
    for name, (kind, value) in attributes.items():
        parts.append(f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value)
    return b"".join(parts) + b"\0"


def _assembled(head: bytes, chunks: list[tuple[int, bytes]]) -> bytes:
    position = len(head) + 8 * len(chunks)
    offsets, body = [], []
    for top, data in chunks:
        offsets.append(position)
        body.append(struct.pack("<2i", top, len(data)) + data)
        position += len(body[-1])
    return head + struct.pack(f"<{len(offsets)}Q", *offsets) + b"".join(body)


def _read(content: bytes) -> dict[str, np.ndarray]:
    header = _header(content)
    _host.check_room((header.height, header.width, len(header.channels)))
    planes = {one.name: np.zeros((header.height, header.width), np.float32) for one in header.channels}
    step = LINES[header.compression]
    for index in range(-(-header.height // step)):
        (offset,) = struct.unpack_from("<Q", content, header.end + 8 * index)
        top, size = struct.unpack_from("<2i", content, offset)
        row = top - header.top
        if size < 0 or not 0 <= row < header.height or offset + 8 + size > len(content):
            raise ValueError("it is a damaged EXR file: a part of it lies outside")
        lines = min(step, header.height - row)
        data = _unpacked(content[offset + 8 : offset + 8 + size], header, lines * header.line_bytes)
        _fill(planes, header, data, row, lines)
    return planes


def _fill(planes: dict[str, np.ndarray], header: _Header, data: bytes, row: int, lines: int) -> None:
    position = 0
    for line in range(row, row + lines):
        for channel in header.channels:
            planes[channel.name][line] = np.frombuffer(data, channel.type, header.width, position)
            position += channel.type.itemsize * header.width


def _unpacked(data: bytes, header: _Header, wanted: int) -> bytes:
    if header.compression == "NONE" or len(data) == wanted:
        raw = data
    elif header.compression == "RLE":
        raw = _unpredicted(_runs(data, wanted))
    else:
        raw = _unpredicted(_inflated(data, wanted))
    if len(raw) != wanted:
        raise ValueError("it is a damaged EXR file: a part of it has the wrong length")
    return raw


def _inflated(data: bytes, wanted: int) -> bytes:
    """At most one byte more than is wanted, however much it would become."""
    unpack = zlib.decompressobj()
    raw = unpack.decompress(data, wanted + 1)
    return raw if unpack.eof else b""


def _unpredicted(data: bytes) -> bytes:
    """Undo the byte differences, then put the two halves between each other."""
    steps = np.frombuffer(data, np.uint8).copy()
    steps[1:] -= 128
    summed = np.cumsum(steps, dtype=np.uint8)
    raw = np.empty_like(summed)
    half = (len(summed) + 1) // 2
    raw[0::2], raw[1::2] = summed[:half], summed[half:]
    return raw.tobytes()


def _packed(raw: bytes) -> bytes:
    both = np.frombuffer(raw, np.uint8)
    split = np.concatenate([both[0::2], both[1::2]])
    steps = split.copy()
    steps[1:] = split[1:] - split[:-1] + np.uint8(128)
    return steps.tobytes()


def _runs(data: bytes, wanted: int) -> bytes:
    """Run lengths undone: a negative count is followed by so many bytes, any other by one byte to repeat."""
    out = bytearray()
    position = 0
    while position < len(data) and len(out) <= wanted:
        (count,) = struct.unpack_from("b", data, position)
        length = -count if count < 0 else 1
        piece = data[position + 1 : position + 1 + length]
        out += piece if count < 0 else piece * (count + 1)
        position += 1 + length
    return bytes(out)


def _header(content: bytes) -> _Header:
    magic, version = struct.unpack_from("<2i", content)
    if magic != MAGIC:
        raise ValueError("it is not an EXR file")
    if version & UNUSUAL_FLAGS or version & 0xFF != VERSION:
        raise Unusual("it has tiles, depth or several parts")
    attributes, end = _attributes(content)
    missing = {"channels", "compression", "dataWindow"} - attributes.keys()
    if missing:
        raise ValueError(f"it is a damaged EXR file: {', '.join(sorted(missing))} is missing")
    number = attributes["compression"][0]
    compression = COMPRESSIONS[number] if number < len(COMPRESSIONS) else f"number {number}"
    if compression not in LINES:
        raise Unusual(f"its compression is {compression}")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    if right < left or bottom < top:
        raise ValueError("it is a damaged EXR file: its window is empty")
    channels = tuple(_channels(attributes["channels"]))
    return _Header(channels, compression, top, right - left + 1, bottom - top + 1, end)


def _attributes(content: bytes) -> tuple[dict[str, bytes], int]:
    """The attributes of the header and where it ends."""
    found: dict[str, bytes] = {}
    position = 8
    for _ in range(MAX_ATTRIBUTES):
        name, position = _word(content, position)
        if not name:
            return found, position
        _, position = _word(content, position)
        (size,) = struct.unpack_from("<i", content, position)
        if size < 0 or position + 4 + size > len(content):
            break
        found[name] = content[position + 4 : position + 4 + size]
        position += 4 + size
    raise ValueError("it is a damaged EXR file: its header has no end")


def _channels(data: bytes) -> Iterator[_Channel]:
    position = 0
    for _ in range(MAX_CHANNELS):
        name, position = _word(data, position)
        if not name:
            return
        kind, _, across, down = struct.unpack_from("<iB3xii", data, position)
        if (across, down) != (1, 1):
            raise Unusual("its channels have different sizes")
        if kind not in TYPES:
            raise ValueError(f"it is a damaged EXR file: channel {name} has no known type")
        yield _Channel(name, TYPES[kind])
        position += 16
    raise ValueError(f"it has more than {MAX_CHANNELS} channels")


def _word(data: bytes, position: int) -> tuple[str, int]:
    end = data.find(b"\0", position, position + 256)
    if end < 0:
        raise ValueError("it is a damaged EXR file: a name has no end")
    return data[position:end].decode("utf-8"), end + 1


def _ordered(planes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Red, green, blue and alpha of the first layer that has them; one gray channel becomes three."""
    layers = dict.fromkeys(name.rpartition(".")[0] for name in planes)
    for layer in sorted(layers, key=len):
        own = {
            name.rpartition(".")[2].upper(): plane for name, plane in planes.items() if name.rpartition(".")[0] == layer
        }
        if {"R", "G", "B"} <= own.keys():
            wanted = [own[letter] for letter in "RGBA" if letter in own]
            return np.stack(wanted, axis=-1)
    gray = next((plane for name, plane in planes.items() if name.rpartition(".")[2].upper() == "Y"), None)
    gray = next(iter(planes.values()), None) if gray is None else gray
    if gray is None:
        raise ValueError("it has no channels")
    return np.repeat(gray[..., np.newaxis], 3, axis=-1)


def _read_by_library(content: bytes, unusual: Unusual) -> np.ndarray:
    cv2 = _optional("cv2")
    if cv2 is not None:
        os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is not None:
            return _from_opencv(np.asarray(picture, np.float32))
    library = _optional("OpenEXR")
    if library is not None:
        return _from_openexr(library, content)
    raise ValueError(
        f"{unusual}, which needs the package OpenEXR beside ComfyUI (pip install OpenEXR). "
        "Or save it as a scanline file with ZIP compression"
    )


def _from_opencv(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return np.repeat(picture[..., np.newaxis], 3, axis=-1)
    order = [2, 1, 0, 3][: picture.shape[-1]]
    return np.ascontiguousarray(picture[..., order])


def _from_openexr(library: Any, content: bytes) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.exr"
        path.write_bytes(content)
        try:
            with library.File(str(path), separate_channels=True) as file:
                planes = {name: np.asarray(one.pixels, np.float32) for name, one in file.channels().items()}
        except RuntimeError as error:
            raise ValueError(f"it is a damaged EXR file ({error})") from error
    return _ordered(planes)


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
