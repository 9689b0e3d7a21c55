"""Texts in the header of a safetensors file (a latent) and in the metadata of an SVG."""

import io
from collections.abc import Iterator

from comfyserve.core.safetensors import METADATA, read_header

MAX_HEADER = 32 * 1024 * 1024
SVG_METADATA = b"<metadata>"
CDATA, CDATA_END = b"<![CDATA[", b"]]>"


def safetensors(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The metadata in the header of a safetensors file, such as a saved latent."""
    metadata = (read_header(io.BytesIO(data), MAX_HEADER) or {}).get(METADATA)
    for name, text in metadata.items() if isinstance(metadata, dict) else ():
        if isinstance(text, str):
            yield name, text.encode("utf-8", errors="replace")


def svg(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The JSON in the metadata of an SVG, which holds both forms."""
    start = data.find(SVG_METADATA) if b"<svg" in data[:4096] else -1
    text = data[start:].removeprefix(SVG_METADATA).lstrip() if start >= 0 else b""
    if text.startswith(CDATA):
        yield "comment", text[len(CDATA) :].partition(CDATA_END)[0].strip()
