"""Tags of MP3 (ID3v2), Opus and Vorbis (RFC 7845, 3533), and FLAC files."""

import struct
from collections.abc import Iterator

FLAC, OGG, ID3 = b"fLaC", b"OggS", b"ID3"
COMMENTS = 4
LAST_BLOCK = 0x80
MAX_COMMENTS = 10_000
MAX_PAGES = 10_000
OGG_HEADER = 27
OGG_TAGS = (b"OpusTags", b"\x03vorbis")
"""What the packet with the comments begins with."""

FRAME_HEADER = 10
USER_TEXT = b"TXXX"
ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}
"""The first byte of a text in ID3: how it is written."""


def flac(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The Vorbis comments of a FLAC file."""
    at, last = len(FLAC), not data.startswith(FLAC)
    while not last and at + 4 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4])
        if kind & ~LAST_BLOCK == COMMENTS:
            yield from _comments(data[at + 4 : at + 4 + size])
        at, last = at + 4 + size, bool(kind & LAST_BLOCK)


def ogg(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The comments of an Opus or Vorbis file: its second packet."""
    packet = _second_packet(data) if data.startswith(OGG) else b""
    for mark in OGG_TAGS:
        if packet.startswith(mark):
            yield from _comments(packet[len(mark) :])


def mp3(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The texts with names of their own in the ID3 tag of an MP3 file."""
    if not data.startswith(ID3) or len(data) < FRAME_HEADER:
        return
    newer = data[3] >= 4
    at, end = FRAME_HEADER, FRAME_HEADER + _seven_bits(data[6:10])
    while at + FRAME_HEADER <= min(end, len(data)):
        kind, raw = data[at : at + 4], data[at + 4 : at + 8]
        size = _seven_bits(raw) if newer else int.from_bytes(raw)
        if kind == USER_TEXT:
            yield from _user_text(data[at + FRAME_HEADER : at + FRAME_HEADER + size])
        at += FRAME_HEADER + size


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


def _second_packet(data: bytes) -> bytes:
    """Packets are cut into segments; one that is shorter than 255 bytes ends its packet."""
    at, ended = 0, 0
    parts: list[bytes] = []
    for _ in range(MAX_PAGES):
        if data[at : at + 4] != OGG or at + OGG_HEADER > len(data):
            break
        (count,) = struct.unpack_from("B", data, at + OGG_HEADER - 1)
        body = at + OGG_HEADER + count
        for size in data[at + OGG_HEADER : body]:
            if ended == 1:
                parts.append(data[body : body + size])
            body += size
            ended += size < 255
            if ended == 2:
                return b"".join(parts)
        at = body
    return b"".join(parts)


def _user_text(frame: bytes) -> Iterator[tuple[str, bytes]]:
    whole = frame[1:].decode(ENCODINGS.get(frame[0] if frame else 0, ENCODINGS[0]), errors="replace")
    name, _, text = whole.partition("\x00")
    yield name, text.lstrip("\ufeff").rstrip("\x00").encode("utf-8", errors="replace")


def _seven_bits(raw: bytes) -> int:
    """A size of which each byte holds seven bits."""
    total = 0
    for byte in raw:
        total = (total << 7) | (byte & 0x7F)
    return total
