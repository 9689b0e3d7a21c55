"""Texts in the header of a safetensors file (a latent) and in the metadata of an SVG."""

import json
import struct
from collections.abc import Iterator

MAX_HEADER = 32 * 1024 * 1024
METADATA = b"<metadata>"
CDATA, CDATA_END = b"<![CDATA[", b"]]>"


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
