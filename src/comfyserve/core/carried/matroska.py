"""Tags of WEBM and MKV files (RFC 9559): elements in elements, each with an id and a size."""

from collections.abc import Iterator

MAX_ELEMENTS = 100_000
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT, TAGS, TAG, SIMPLE_TAG = 0x18538067, 0x1254C367, 0x7373, 0x67C8
TAG_NAME, TAG_STRING = 0x45A3, 0x4487
CONTAINERS = frozenset({SEGMENT, TAGS, TAG, SIMPLE_TAG})
LONGEST = 8


def tags(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The tags of the file: a name, then its text."""
    if not data.startswith(EBML):
        return
    at, name = 0, ""
    for _ in range(MAX_ELEMENTS):
        read = _element(data, at)
        if read is None:
            return
        kind, begin, size = read
        content = data[begin : begin + size] if kind in (TAG_NAME, TAG_STRING) and size is not None else b""
        if kind == TAG_NAME:
            name = content.decode("utf-8", errors="replace")
        elif kind == TAG_STRING:
            yield name, content
        if kind not in CONTAINERS and size is None:
            return
        at = begin if kind in CONTAINERS else begin + (size or 0)


def _element(data: bytes, at: int) -> tuple[int, int, int | None] | None:
    """Id, where the content begins, and its size; None for a size that is not known, or at the end."""
    kind = _number(data, at)
    size = None if kind is None else _number(data, kind[1])
    if kind is None or size is None:
        return None
    length = size[1] - kind[1]
    value = size[0] - (1 << (7 * length))
    return kind[0], size[1], None if value == (1 << (7 * length)) - 1 else value


def _number(data: bytes, at: int) -> tuple[int, int] | None:
    """A number with its length mark, and where it ends."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length() if first else LONGEST + 1
    if length > LONGEST or at + length > len(data):
        return None
    return int.from_bytes(data[at : at + length]), at + length
