"""A given picture as the words want it: its subject, or what is behind it, takes the colour that they name."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .latent import resized
from .model import Bytes
from .prompt import COLOUR_NAMES, COLOURS, Colour, Reading
from .recolour import LEVELS, blend, brightness, recoloured

Mask = NDArray[np.bool_]
Shorts = NDArray[np.int16]
# How far a picture goes towards a colour that is named, a mood that is named, and other words.
COLOUR_SHARE, MOOD_SHARE, WORDS_SHARE = 0.85, 0.6, 0.35
# Of each channel, how far the shade of a named colour lies from it at most.
SHADE = 0.025
# Noise and blocks of a compressed picture are smoothed over so many pixels before its brightness is read.
SOFTENED = 3
# The longer side of the picture in which the subject is looked for.
SEARCHED = 384
# A region of this share of the picture is a subject.
LEAST_SUBJECT, MOST_SUBJECT = 0.03, 0.8
# Of a subject, at least this share of the middle of the picture is seen.
LEAST_MIDDLE = 0.3
# Parts of it that are less than the largest one by this factor are specks.
SMALLEST_PART = 12
# Levels between the neighbours of a pixel on the outline of a subject: the first by which enough is background.
OUTLINES, LEAST_BEHIND = (3, 4, 6, 9), 0.15
# A subject differs from its background by so many levels, what is only darker by so many more.
DIFFERS, SHADOW = 9, 40
# What differs less than most of the subject by this factor is its shadow, or its reflection.
FAINT = 5
# Notches of a subject that are filled are up to twice so many pixels wide.
MENDED = 5
# How often the background is looked at again without what differs from it.
ROUNDS = 3
# The background is what can be reached from the upper part of the border: a subject may be cut off below.
FROM_TOP = 0.75
LANDSCAPES = ("city", "sea", "forest", "mountains")

_WANTED = re.compile(rf"\b(?:to|into)\s+(?:an?\s+)?({COLOUR_NAMES})\b")
_BEHIND = re.compile(r"\b(?:background|backdrop)\b")


def names_colours(reading: Reading) -> bool:
    """Whether the words say anything of colours: a colour, a backdrop or an hour other than the day."""
    return reading.colour is not None or reading.backdrop is not None or reading.mood != "day"


def edited(picture: Bytes, reading: Reading, colours: Bytes, chance: np.random.Generator) -> Bytes:
    """The picture [H,W,3] in the colour that the words name, else in those of a `palette` of what they name.

    Chance decides the shade of a named colour.
    """
    red, green, blue = (float(part) for part in chance.uniform(-SHADE, SHADE, 3))
    named = reading.colour or reading.backdrop
    if named is None:
        share = WORDS_SHARE if reading.mood == "day" else MOOD_SHARE
        return blend(picture, recoloured(picture, colours, SOFTENED), share)
    if reading.subject in LANDSCAPES:
        return blend(picture, recoloured(picture, colours, SOFTENED), MOOD_SHARE)
    subject = _subject(picture)
    if subject is None:
        whole = np.full(picture.shape[:2], 255, np.uint8)
        return blend(picture, _painted(picture, whole, (named[0] + red, named[1] + green, named[2] + blue)), MOOD_SHARE)
    wanted = _WANTED.search(reading.text)
    colour = COLOURS[wanted.group(1)] if wanted else reading.colour
    backdrop = reading.backdrop
    if colour is not None and backdrop is None and reading.subject == "abstract" and _BEHIND.search(reading.text):
        colour, backdrop = None, colour
    for region, one in ((subject, colour), (255 - subject, backdrop)):
        if one is not None:
            picture = _painted(picture, region, (one[0] + red, one[1] + green, one[2] + blue))
    return picture


def _painted(picture: Bytes, region: Bytes, colour: Colour) -> Bytes:
    """The region [H,W] in shades of the colour that follow its own light."""
    gray = brightness(np.asarray(Image.fromarray(picture).filter(ImageFilter.BoxBlur(SOFTENED)), np.uint8))
    counts = np.bincount(gray[region > LEVELS // 2], minlength=LEVELS)
    middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    light = ((np.arange(LEVELS) - middle) / LEVELS)[:, None]
    plain = np.clip(np.asarray(colour, np.float64), 0, 1)
    shades = np.where(light < 0, plain * (1 + 1.5 * light), plain + (1 - plain) * 0.8 * light)
    share = Image.fromarray(region).point([round(level * COLOUR_SHARE) for level in range(LEVELS)])
    table = np.asarray(np.clip(shades * (LEVELS - 1) + 0.5, 0, LEVELS - 1), np.uint8)
    painted = Image.composite(Image.fromarray(table[gray]), Image.fromarray(picture), share)
    return np.asarray(painted, np.uint8)


def _subject(picture: Bytes) -> Bytes | None:
    """A mask [H,W] of what differs from the background; None where that is nearly all or nearly nothing."""
    from scipy.ndimage import binary_closing, binary_fill_holes, binary_opening  # type: ignore[import-untyped] # no stubs; slow to import

    height, width = picture.shape[:2]
    shrink = max(1.0, max(height, width) / SEARCHED)
    small = resized(picture, max(8, round(width / shrink)), max(8, round(height / shrink)))
    soft = np.asarray(Image.fromarray(small).filter(ImageFilter.BoxBlur(1)), np.int16)
    behind = _reached(soft)
    for _ in range(ROUNDS):
        away = soft - _smooth_through(soft, behind)
        behind = behind & (np.abs(away).max(axis=-1) < DIFFERS)
    difference = _difference(away)
    clear = difference[difference > DIFFERS]
    least = max(DIFFERS, int(np.sort(clear)[len(clear) // 2]) // FAINT) if len(clear) else DIFFERS
    clean = binary_opening(difference > least, iterations=2)
    found = _main_parts(
        binary_fill_holes(binary_closing(np.pad(clean, MENDED), iterations=MENDED)[MENDED:-MENDED, MENDED:-MENDED])
    )
    middle = found[len(found) * 2 // 5 : len(found) * 3 // 5, found.shape[1] * 2 // 5 : found.shape[1] * 3 // 5]
    if not LEAST_SUBJECT < float(found.mean()) < MOST_SUBJECT or float(middle.mean()) < LEAST_MIDDLE:
        return None
    rounded = Image.fromarray(np.asarray(found, np.uint8) * np.uint8(255)).filter(ImageFilter.BoxBlur(3))
    sharper = rounded.point([max(0, min(255, 2 * level - 128)) for level in range(LEVELS)])
    return resized(np.asarray(sharper, np.uint8), width, height)


def _main_parts(found: Mask) -> Mask:
    """The largest connected part, and others of a size with it."""
    from scipy.ndimage import label

    parts, count = label(found)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray((sizes * SMALLEST_PART > sizes.max())[parts], np.bool_)


def _reached(soft: Shorts) -> Mask:
    """What can be reached from the upper part of the border without crossing an outline."""
    from scipy.ndimage import binary_dilation

    around = np.pad(soft, ((1, 1), (1, 1), (0, 0)), mode="edge")
    down = np.abs(around[2:, 1:-1] - around[:-2, 1:-1])
    across = np.abs(around[1:-1, 2:] - around[1:-1, :-2])
    steps = np.maximum(down, across).max(axis=-1)
    for outline in OUTLINES:
        reached = _joined(~binary_dilation(steps > outline))
        if float(reached.mean()) > LEAST_BEHIND:
            break
    return reached


def _joined(flat: Mask) -> Mask:
    """The flat parts that touch the upper part of the border."""
    from scipy.ndimage import label

    parts, count = label(flat)
    upper = parts[: round(len(parts) * FROM_TOP)]
    behind = np.zeros(count + 1, np.bool_)
    behind[np.concatenate([parts[0], upper[:, 0], upper[:, -1]])] = True
    behind[0] = False
    return np.asarray(behind[parts], np.bool_)


def _smooth_through(soft: Shorts, known: Mask) -> Shorts:
    """The smooth surface (of second degree) that comes closest to the known pixels, at all pixels.

    Its sums are of whole numbers, so that they are the same on every processor.
    """
    height, width = known.shape
    y, x = (side.astype(np.int64) for side in np.mgrid[:height, :width])
    x, y = x - width // 2, y - height // 2
    terms = [np.ones_like(x), x, y, x * x, x * y, y * y]
    kept = [term[known] for term in terms]
    matrix = [[int((one * other).sum()) for other in kept] for one in kept]
    surfaces = []
    for channel in range(3):
        values = soft[..., channel][known]
        factors = _solved(matrix, [int((term * values).sum()) for term in kept])
        surfaces.append(sum(factor * term for factor, term in zip(factors, terms, strict=True)))
    return np.asarray(np.clip(np.stack(surfaces, axis=-1), 0, 255) + 0.5, np.int16)


def _solved(matrix: list[list[int]], values: list[int]) -> list[float]:
    """The solution of linear equations, exact until the end; zeros where there is not just one."""
    rows = [[Fraction(one) for one in (*row, value)] for row, value in zip(matrix, values, strict=True)]
    for at in range(len(rows)):
        pivot = next((row for row in rows[at:] if row[at]), None)
        if pivot is None:
            return [0.0] * len(rows)
        rows.remove(pivot)
        rows.insert(at, [one / pivot[at] for one in pivot])
        rows = [
            row if place == at else [one - row[at] * other for one, other in zip(row, rows[at], strict=True)]
            for place, row in enumerate(rows)
        ]
    return [float(row[-1]) for row in rows]


def _difference(away: Shorts) -> Shorts:
    """Levels by which pixels differ from the background; what is only darker is a shadow."""
    light = away.sum(axis=-1, dtype=np.int16) // 3
    hue = np.abs(away - light[..., None]).max(axis=-1)
    return np.asarray(np.maximum(hue * 2, np.maximum(light, -light - SHADOW)), np.int16)
