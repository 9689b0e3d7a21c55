"""A small renderer's toolkit: a frame with coordinates, smooth shapes, light and soft shadows.

Only operations that IEEE 754 defines exactly (+ - * / sqrt, comparisons) touch whole pictures, and
Pillow's resampling, so that the same recipe gives the same bytes on every processor.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .prompt import Colour

Floats = NDArray[np.float32]
Point = tuple[float, float]
ONE = np.float32(1)
OVERSAMPLE = 3


@dataclass(frozen=True)
class Frame:
    """Pixels with coordinates: (0, 0) in the middle, y down, the shorter side reaches from -1 to 1."""

    width: int
    height: int
    x: Floats = field(init=False, repr=False)
    y: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", _axis(self.width, self.unit)[None, :])
        object.__setattr__(self, "y", _axis(self.height, self.unit)[:, None])

    @property
    def unit(self) -> float:
        """Pixels per coordinate unit."""
        return min(self.width, self.height) / 2

    def blank(self, colour: Colour) -> Floats:
        return np.broadcast_to(rgb(colour), (self.height, self.width, 3)).copy()

    def inside(self, distance: Floats) -> Floats:
        """Coverage 0..1 of a shape given by signed distance (negative inside), one pixel soft."""
        return np.asarray(np.clip(np.float32(0.5) - distance * np.float32(self.unit), 0, 1), dtype=np.float32)

    def polygon(self, points: list[Point]) -> Floats:
        """Coverage 0..1 of a filled polygon, smooth at its edge."""
        return self.drawn(lambda draw, place: draw.polygon([place(point) for point in points], fill=255))

    def stroke(self, points: list[Point], width: float) -> Floats:
        """Coverage 0..1 of a line through the points."""
        pixels = max(1, round(width * self.unit * OVERSAMPLE))
        return self.drawn(
            lambda draw, place: draw.line([place(p) for p in points], fill=255, width=pixels, joint="curve")
        )

    def drawn(self, paint: Callable[[ImageDraw.ImageDraw, Callable[[Point], Point]], None]) -> Floats:
        """Coverage 0..1 of what `paint(draw, place)` draws; `place` turns coordinates into its pixels."""
        scale = self.unit * OVERSAMPLE
        sheet = Image.new("L", (self.width * OVERSAMPLE, self.height * OVERSAMPLE))
        middle = (sheet.width / 2, sheet.height / 2)
        paint(ImageDraw.Draw(sheet), lambda point: (middle[0] + point[0] * scale, middle[1] + point[1] * scale))
        return _floats(sheet.reduce(OVERSAMPLE))

    def blur(self, mask: Floats, radius: float) -> Floats:
        """A mask softened over `radius` coordinate units: three box filters, which come close to a Gaussian."""
        reach = max(1, round(radius * self.unit * 0.95))
        soft = mask
        for axis in (0, 1):
            for _ in range(3):
                soft = _box(soft, reach, axis)
        return soft

    def clouds(self, chance: np.random.Generator, cells: int) -> Floats:
        """Smooth noise -1..1 with about `cells` bumps along the shorter side."""
        per = min(self.width, self.height) / cells
        rows, columns = (max(2, round(side / per) + 2) for side in (self.height, self.width))
        grid = Image.fromarray(chance.random((rows, columns), dtype=np.float32))
        soft = grid.resize((self.width, self.height), Image.Resampling.BICUBIC)
        return np.asarray(soft, dtype=np.float32) * 2 - 1


@dataclass(frozen=True)
class Light:
    """A key light from a direction (x right, y down, z to the viewer) and the shares of ambient and rim light."""

    x: float
    y: float
    z: float
    ambient: float = 0.42
    rim: float = 0.16

    def on(self, nx: Floats, ny: Floats, nz: Floats) -> Floats:
        """Soft (wrapped) brightness about 0..1.2 of a surface with this unit normal."""
        length = (self.x * self.x + self.y * self.y + self.z * self.z) ** 0.5
        facing = nx * np.float32(self.x / length) + ny * np.float32(self.y / length) + nz * np.float32(self.z / length)
        wrapped = np.clip((facing + np.float32(0.25)) / np.float32(1.25), 0, 1)
        sky = np.float32(0.5) - ny * np.float32(0.5)
        edge = (ONE - np.clip(nz, 0, 1)) * (ONE - np.clip(nz, 0, 1))
        total = (
            np.float32(self.ambient) * (np.float32(0.55) + np.float32(0.45) * sky)
            + np.float32(0.72) * wrapped
            + np.float32(self.rim) * edge
        )
        return np.asarray(total, dtype=np.float32)

    def gloss(self, nx: Floats, ny: Floats, nz: Floats, doublings: int) -> Floats:
        """A highlight 0..1; every doubling halves its size."""
        hx, hy, hz = self.x, self.y, self.z + (self.x * self.x + self.y * self.y + self.z * self.z) ** 0.5
        length = (hx * hx + hy * hy + hz * hz) ** 0.5
        shine = np.clip((nx * np.float32(hx) + ny * np.float32(hy) + nz * np.float32(hz)) / np.float32(length), 0, 1)
        for _ in range(doublings):
            shine = shine * shine
        return np.asarray(shine, dtype=np.float32)


def rgb(colour: Colour) -> Floats:
    return np.asarray(colour, dtype=np.float32)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """first at 0, second at 1."""
    r, g, b = (a + (c - a) * share for a, c in zip(first, second, strict=True))
    return r, g, b


def smooth(low: float, high: float, value: Floats) -> Floats:
    """0 below `low`, 1 above `high`, an S between them; `low` may be the greater one."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (np.float32(3) - 2 * t), dtype=np.float32)


def over(picture: Floats, colour: Floats, mask: Floats) -> Floats:
    """Lay a colour (one, or one per pixel) over the picture where the mask is 1."""
    share = mask[..., None]
    return np.asarray(picture * (ONE - share) + colour * share, dtype=np.float32)


def ramp(stops: list[tuple[float, Colour]], value: Floats) -> Floats:
    """A colour per value from a list of (place, colour), blended smoothly between neighbours."""
    picture = np.broadcast_to(rgb(stops[0][1]), (*value.shape, 3))
    for (low, _), (high, colour) in pairwise(stops):
        picture = over(picture, rgb(colour), smooth(low, high, value))
    return picture


def normals(height: Floats, unit: float) -> tuple[Floats, Floats, Floats]:
    """Unit normals of a height map in coordinate units."""
    dy, dx = np.gradient(height)
    dx, dy = -dx * np.float32(unit), -dy * np.float32(unit)
    nz = ONE / np.sqrt(dx * dx + dy * dy + ONE)
    return dx * nz, dy * nz, nz


def curve(points: list[Point], steps: int = 14) -> list[Point]:
    """A closed smooth outline (Catmull-Rom) through the points; a point that is named twice is a corner."""
    count = len(points)
    return [
        _between([points[(i + k - 1) % count] for k in range(4)], step / steps)
        for i in range(count)
        if points[i] != points[(i + 1) % count]
        for step in range(steps)
    ]


def _between(p: list[Point], t: float) -> Point:
    a, b, c, d = -t + 2 * t * t - t**3, 2 - 5 * t * t + 3 * t**3, t + 4 * t * t - 3 * t**3, -t * t + t**3
    x, y = (0.5 * (a * p[0][k] + b * p[1][k] + c * p[2][k] + d * p[3][k]) for k in range(2))
    return x, y


def _box(values: Floats, reach: int, axis: int) -> Floats:
    """The mean of the 2 * reach + 1 values around each along one axis; the border is repeated."""
    pad = [(0, 0), (0, 0)]
    pad[axis] = (reach + 1, reach)
    total = np.cumsum(np.pad(values, pad, mode="edge"), axis=axis, dtype=np.float64)
    count = 2 * reach + 1
    first, last = np.split(total, [-count], axis=axis)[0], np.split(total, [count], axis=axis)[1]
    return np.asarray((last - first) / count, dtype=np.float32)


def _axis(pixels: int, unit: float) -> Floats:
    return ((np.arange(pixels, dtype=np.float64) + 0.5 - pixels / 2) / unit).astype(np.float32)


def _floats(sheet: Image.Image) -> Floats:
    return np.asarray(sheet, dtype=np.float32) / np.float32(255)
