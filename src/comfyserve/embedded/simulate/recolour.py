"""A picture's structure in the colours of another, and a picture that follows the structure of a hint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from .latent import resized
from .model import Bytes

LEVELS = 256
# Colours are averaged over this share of the picture's brightness order.
WINDOW = 0.06
# A hint with at least this share of black, or of white, is a line drawing.
FLAT_SHARE = 0.55
# Parts of a line drawing that cover more than this are left to the model.
OPEN_SHARE = 0.22
LINE_LEVEL = 96
# Lines show as strokes smoothed over about these pixels, and cover what is under them to this level of 255.
LINE_BLUR, LINE_SHADE = 1.1, 100
LEAST_RANGE = 12


def blend(first: Bytes, second: Bytes, share: float) -> Bytes:
    """first at 0, second at 1."""
    if share <= 0:
        return first
    if share >= 1:
        return second
    return np.asarray(Image.blend(Image.fromarray(first), Image.fromarray(second), share), dtype=np.uint8)


def brightness(picture: Bytes) -> Bytes:
    """The luma [H,W] of a picture."""
    return np.asarray(Image.fromarray(picture).convert("L"), dtype=np.uint8)


def palette(picture: Bytes) -> Bytes:
    """256 colours of a picture, from its darkest to its brightest."""
    small = picture[:: max(1, picture.shape[0] // 256), :: max(1, picture.shape[1] // 256)]
    small = np.ascontiguousarray(small)
    order = brightness(small).ravel()
    counts = np.bincount(order, minlength=LEVELS).astype(np.float64)
    edges = np.concatenate([[0.0], np.cumsum(counts)]) / order.size
    middle = (np.arange(LEVELS) + 0.5) / LEVELS
    low, high = np.clip(middle - WINDOW, 0, 1 - 2 * WINDOW), np.clip(middle + WINDOW, 2 * WINDOW, 1)
    channels = []
    for channel in range(3):
        sums = np.bincount(order, weights=small[..., channel].ravel(), minlength=LEVELS)
        total = np.concatenate([[0.0], np.cumsum(sums)]) / order.size
        channels.append((np.interp(high, edges, total) - np.interp(low, edges, total)) / (2 * WINDOW))
    return np.asarray(np.clip(np.stack(channels, axis=-1) + 0.5, 0, 255), dtype=np.uint8)


def levels(gray: Bytes) -> Bytes:
    """A table 256 -> 256 that spreads a picture's brightness half way to an even use of all levels."""
    small = gray[:: max(1, gray.shape[0] // 256), :: max(1, gray.shape[1] // 256)]
    counts = np.bincount(small.ravel(), minlength=LEVELS).astype(np.float64)
    rank = (np.cumsum(counts) - counts / 2) / small.size * (LEVELS - 1)
    return np.asarray((rank + np.arange(LEVELS)) / 2 + 0.5, dtype=np.uint8)


def recoloured(picture: Bytes, colours: Bytes, softened: int = 0) -> Bytes:
    """The picture's structure in the colours of a `palette`; its brightness is first smoothed over some pixels."""
    gray = brightness(picture)
    if softened:
        gray = np.asarray(Image.fromarray(gray).filter(ImageFilter.BoxBlur(softened)), np.uint8)
    return colours[levels(gray)][gray]


def following(picture: Bytes, hint: Bytes, strength: float, colours: Bytes) -> Bytes:
    """The picture with the structure of the hint (a line drawing, depth, pose or any picture) in these colours.

    Strength 1 shows it fully. A hint of one tone has no structure.
    """
    share = min(1.0, 0.85 * strength)
    if share <= 0:
        return picture
    hint = resized(np.ascontiguousarray(hint[..., :3]), picture.shape[1], picture.shape[0])
    gray = brightness(hint)
    if int(gray.max()) - int(gray.min()) < LEAST_RANGE:
        return picture
    bright = hint.max(axis=-1)
    dark_share, white_share = float((bright < 40).mean()), float((gray > 215).mean())
    if max(dark_share, white_share) < FLAT_SHARE:
        return blend(picture, colours[levels(gray)][gray], share)
    lines = np.asarray(bright if dark_share >= white_share else 255 - gray, np.uint8)
    return blend(picture, _along_lines(picture, lines, colours), share)


def _along_lines(picture: Bytes, lines: Bytes, colours: Bytes) -> Bytes:
    """Closed parts of the drawing each in one tone, the rest as it was, and the lines as soft shadows."""
    tones, closed = _parts(lines)
    plain = Image.fromarray(picture)
    filled = Image.blend(plain, Image.fromarray(colours[tones]), 0.75)
    flat = Image.composite(filled, plain, Image.fromarray(closed))
    shade = tuple(int(channel) // 2 for channel in colours[8])
    soft = Image.fromarray(lines).filter(ImageFilter.GaussianBlur(LINE_BLUR))
    stroke = soft.point([min(LINE_SHADE, 2 * level) for level in range(LEVELS)])
    dark = Image.composite(Image.new("RGB", plain.size, shade), flat, stroke)
    rim = ImageChops.subtract(ImageChops.offset(soft, 2, 2), soft, scale=4)
    return np.asarray(Image.composite(Image.new("RGB", plain.size, "white"), dark, rim), dtype=np.uint8)


def _parts(lines: Bytes) -> tuple[Bytes, Bytes]:
    """A tone per closed part between the lines, and a mask of these parts; found at half the size."""
    from scipy.ndimage import label  # type: ignore[import-untyped] # no stubs; slow to import, and few graphs have a hint

    height, width = lines.shape
    small = np.asarray(Image.fromarray(lines).resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BOX))
    numbers, count = label(small < LINE_LEVEL // 2)
    sizes = np.bincount(np.asarray(numbers, np.int64).ravel(), minlength=count + 1)
    inside = sizes <= numbers.size * OPEN_SHARE
    inside[0] = False
    tone: NDArray[np.int64] = 60 + np.arange(count + 1, dtype=np.int64) * 79 % 180
    found = (tone.astype(np.uint8)[numbers], (inside.astype(np.uint8) * 255)[numbers])
    first, second = (Image.fromarray(one).resize((width, height), Image.Resampling.NEAREST) for one in found)
    return np.asarray(first, np.uint8), np.asarray(second, np.uint8)
