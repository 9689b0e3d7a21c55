"""Fewer colours: Pillow's median cut, and dithering by Floyd-Steinberg or a Bayer matrix (spec 13, ImageQuantize)."""

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from comfyserve.embedded.pixels.arrays import Image, from_bytes

BAYER = {"bayer-2": 1, "bayer-4": 2, "bayer-8": 3, "bayer-16": 4}
DITHERS = ["none", "floyd-steinberg", *BAYER]


def quantize(picture: Image, colors: int, dither: str) -> Image:
    """One picture [H,W,3] in at most so many colours. ValueError for an unknown dither."""
    if dither not in DITHERS:
        raise ValueError(f"The dither {dither!r} is not known. Use one of: {', '.join(DITHERS)}.")
    # Not clipped: what lies outside of 0..1 wraps around, as in the original.
    source = Pillow.fromarray((picture * np.float32(255)).astype(np.int32).astype(np.uint8))
    palette = source.quantize(colors)
    if dither in BAYER:
        source = _bayer_shifted(source, len(palette.getpalette() or ()) // 3, BAYER[dither])
    spread = Pillow.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Pillow.Dither.NONE
    return from_bytes(np.asarray(source.quantize(colors, palette=palette, dither=spread).convert("RGB")))


def _bayer_shifted(source: Pillow.Image, colors: int, order: int) -> Pillow.Image:
    pattern = (2 * 256 / colors * _bayer(order) + 0.5).astype(np.float32)
    height, width = source.height, source.width
    side = len(pattern)
    tiled = np.tile(pattern, (-(-height // side), -(-width // side)))[:height, :width, np.newaxis]
    shifted = np.clip(np.asarray(source, np.float32) + tiled, 0, 255).astype(np.uint8)
    return Pillow.fromarray(shifted)


def _bayer(order: int) -> npt.NDArray[np.float64]:
    if order == 0:
        return np.zeros((1, 1))
    cells = 4**order
    inner = cells * _bayer(order - 1)
    pattern: npt.NDArray[np.float64] = np.block([[inner - 1.5, inner + 0.5], [inner + 1.5, inner - 0.5]])
    pattern /= cells
    return pattern
