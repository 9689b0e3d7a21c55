"""Other products: shirt, hoodie, mug, tote bag, bottle, phone and poster, their print areas in the same place."""

import numpy as np

from .abstract import abstract
from .canvas import ONE, Floats, Frame, Point, curve, mix, normals, over, rgb, smooth
from .cap import twill
from .prompt import Reading
from .studio import Studio, studio

# Right halves of outlines, from the collar to the hem; a point that is named twice is a corner.
BODY: tuple[Point, ...] = (
    (0.0, -0.63), (0.13, -0.66), (0.21, -0.76), (0.21, -0.76), (0.42, -0.70), (0.58, -0.60), (0.70, -0.40),
    (0.84, -0.13), (0.84, -0.13), (0.63, -0.01), (0.63, -0.01), (0.52, -0.18), (0.47, -0.27), (0.47, -0.27),
    (0.455, 0.10), (0.46, 0.45), (0.475, 0.735), (0.475, 0.735), (0.24, 0.765), (0.0, 0.77),
)  # fmt: skip
LONG: tuple[Point, ...] = (
    (0.0, -0.60), (0.15, -0.64), (0.24, -0.70), (0.42, -0.64), (0.56, -0.52), (0.66, -0.20), (0.74, 0.20),
    (0.79, 0.63), (0.79, 0.63), (0.65, 0.66), (0.65, 0.66), (0.575, 0.30), (0.50, -0.02), (0.475, -0.13),
    (0.475, -0.13), (0.475, 0.20), (0.485, 0.55), (0.46, 0.715), (0.46, 0.715), (0.24, 0.73), (0.0, 0.73),
)  # fmt: skip


def shirt(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """A T-shirt laid out flat."""
    place = studio(frame, reading, chance, "white")
    mask = frame.polygon(_mirrored(BODY))
    picture = _garment(place, mask, chance)
    collar = _arc(0.215, -0.762, 0.145)
    back = _arc(0.215, -0.762, 0.03)
    inside = frame.polygon([*collar, *reversed(back)])
    picture = over(picture, rgb(mix(place.colour, (0.0, 0.0, 0.0), 0.38)), inside)
    picture = over(picture, rgb(mix(place.colour, (0.0, 0.0, 0.0), 0.2)), frame.stroke(back, 0.03) * inside)
    band = frame.stroke([(x, y + 0.02) for x, y in collar], 0.036)
    picture = over(picture, rgb(mix(place.colour, (0.5, 0.5, 0.5), 0.25)), band * np.float32(0.55))
    for side in (-1, 1):
        picture = _crease(place, picture, [(side * 0.44, -0.69), (side * 0.485, -0.42), (side * 0.47, -0.2)])
        picture = _crease(place, picture, [(side * 0.815, -0.175), (side * 0.61, -0.06)])
    return place.finish(
        _crease(place, picture, [(-0.472, 0.695), (-0.24, 0.722), (0.0, 0.73), (0.24, 0.722), (0.472, 0.695)])
    )


def hoodie(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """A hooded sweatshirt with its pocket."""
    place = studio(frame, reading, chance, "grey")
    picture = _garment(place, frame.polygon(_mirrored(LONG)), chance)
    hood = frame.polygon(
        curve(
            [(0.0, -0.93), (0.24, -0.86), (0.30, -0.68), (0.16, -0.52), (-0.16, -0.52), (-0.30, -0.68), (-0.24, -0.86)]
        )
    )
    picture = over(picture, _relief(place, hood, chance), hood)
    hole = frame.polygon(
        curve([(0.0, -0.83), (0.15, -0.76), (0.14, -0.63), (0.0, -0.55), (-0.14, -0.63), (-0.15, -0.76)])
    )
    picture = over(picture, rgb(mix(place.colour, (0.0, 0.0, 0.0), 0.62)), hole)
    for side in (-1, 1):
        cord = frame.stroke([(side * 0.07, -0.57), (side * 0.085, -0.46), (side * 0.08, -0.38)], 0.016)
        picture = over(picture, rgb(mix(place.colour, (1.0, 1.0, 1.0), 0.6)), cord)
        picture = _crease(place, picture, [(side * 0.17, 0.28), (side * 0.29, 0.46), (side * 0.29, 0.58)])
        picture = _crease(place, picture, [(side * 0.46, -0.62), (side * 0.49, -0.35), (side * 0.47, -0.12)])
    picture = _crease(place, picture, [(-0.17, 0.28), (0.17, 0.28)])
    return place.finish(_crease(place, picture, [(-0.48, 0.61), (0.0, 0.625), (0.48, 0.61)]))


def tote(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """A cotton bag with two handles."""
    place = studio(frame, reading, chance, "cream")
    picture = place.shadow(place.backdrop, 0.63, 0.55, 0.08, 0.5)
    strap = [(0.24 * t, -0.53 - 0.36 * (1 - t * t * t * t)) for t in np.linspace(-1, 1, 41)]
    handle = frame.stroke([(x, y - 0.02) for x, y in strap], 0.07)
    picture = over(picture, rgb(mix(place.colour, (0.0, 0.0, 0.0), 0.28)), handle)
    mask = frame.polygon([(-0.50, -0.56), (0.50, -0.56), (0.535, 0.57), (0.51, 0.605), (-0.51, 0.605), (-0.535, 0.57)])
    picture = over(picture, _relief(place, mask, chance, 0.10), mask)
    picture = _crease(place, picture, [(-0.5, -0.50), (0.5, -0.50)])
    return place.finish(picture)


def mug(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """A ceramic mug with its handle to the right."""
    place = studio(frame, reading, chance, "white")
    picture = place.shadow(place.backdrop, 0.36, 0.50, 0.11, 0.6)
    dx, dy = (frame.x - np.float32(0.45)) / np.float32(0.27), (frame.y + np.float32(0.16)) / np.float32(0.30)
    ring = np.sqrt(dx * dx + dy * dy)
    tube = (ring - np.float32(0.83)) / np.float32(0.17)
    nz = np.sqrt(np.clip(ONE - tube * tube, np.float32(1e-3), 1))
    scale = tube / np.maximum(ring, np.float32(1e-3))
    picture = over(
        picture, _glazed(place, dx * scale, dy * scale, nz), frame.inside((np.abs(tube) - ONE) * np.float32(0.047))
    )
    nx = np.clip(frame.x / np.float32(0.46), -1, 1)
    flat = np.broadcast_to(np.float32(0), (frame.height, frame.width))
    body = _round_body(frame, 0.46, -0.62, 0.36, 0.095)
    shade = _glazed(place, nx + flat, flat, np.sqrt(np.clip(ONE - nx * nx, np.float32(1e-3), 1)) + flat)
    picture = over(picture, shade, body)
    picture = over(
        picture, rgb(mix(place.colour, (1.0, 1.0, 1.0), 0.35)), frame.polygon(_ellipse(0.0, -0.62, 0.46, 0.095))
    )
    inside = smooth(-0.46, 0.46, frame.x * np.float32(-place.light.x / abs(place.light.x)) + frame.y * 0)
    dark = rgb(mix(place.colour, (0.04, 0.04, 0.05), 0.25)) * (ONE - inside * np.float32(0.5))[..., None]
    return place.finish(over(picture, dark, frame.polygon(_ellipse(0.0, -0.613, 0.435, 0.078))))


def bottle(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """A steel drinking bottle."""
    place = studio(frame, reading, chance, "teal")
    picture = place.shadow(place.backdrop, 0.745, 0.33, 0.07, 0.6)
    neck = smooth(-0.62, -0.42, frame.y)
    half = np.float32(0.145) + np.float32(0.155) * neck
    flat = np.broadcast_to(np.float32(0), (frame.height, frame.width))
    nx = np.clip(frame.x / half, -1, 1)
    shade = _glazed(
        place, nx, flat - np.float32(0.15) * (ONE - neck), np.sqrt(np.clip(ONE - nx * nx, np.float32(1e-3), 1))
    )
    foot = np.maximum(frame.y - np.float32(0.735) + np.float32(0.05) * nx * nx * nx * nx, np.float32(-0.64) - frame.y)
    picture = over(picture, shade, frame.inside(np.maximum(np.abs(frame.x) - half, foot)))
    lid = np.clip(frame.x / np.float32(0.155), -1, 1) + flat
    steel = (
        rgb((0.62, 0.63, 0.65))
        * (np.float32(0.5) + place.light.on(lid, flat, np.sqrt(np.clip(ONE - lid * lid, 0, 1))))[..., None]
        * np.float32(0.8)
    )
    shape = np.maximum(np.abs(frame.x) - np.float32(0.155), np.abs(frame.y + np.float32(0.72)) - np.float32(0.095))
    return place.finish(over(picture, steel, frame.inside(shape)))


def phone(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """The back of a phone in its case."""
    place = studio(frame, reading, chance, "navy")
    mask = frame.inside(_box(frame, 0.0, -0.02, 0.37, 0.78, 0.10))
    picture = over(
        place.backdrop,
        rgb((0.05, 0.05, 0.08)),
        frame.blur(np.roll(mask, round(0.035 * frame.unit), 0), 0.06) * np.float32(0.5),
    )
    edge = frame.blur(mask, 0.018)
    nx, ny, nz = normals(edge * np.float32(0.05), frame.unit)
    picture = over(picture, _glazed(place, nx, ny, nz, 0.25), mask)
    island = frame.inside(_box(frame, -0.18, -0.60, 0.135, 0.135, 0.05))
    picture = over(picture, rgb(mix(place.colour, (0.0, 0.0, 0.0), 0.35)), island)
    for x, y in ((-0.24, -0.66), (-0.12, -0.60), (-0.24, -0.54)):
        away = np.sqrt((frame.x - np.float32(x)) ** 2 + (frame.y - np.float32(y)) ** 2)
        picture = over(picture, rgb((0.02, 0.02, 0.03)), frame.inside(away - np.float32(0.05)))
        glint = np.sqrt((frame.x - np.float32(x - 0.014)) ** 2 + (frame.y - np.float32(y - 0.014)) ** 2)
        picture = over(picture, rgb((0.45, 0.52, 0.66)), smooth(0.03, 0.0, glint) * np.float32(0.8))
    return place.finish(picture)


def poster(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """A framed print on a wall."""
    place = studio(frame, reading, chance, "charcoal")
    outer = frame.inside(_box(frame, 0.0, -0.06, 0.58, 0.76, 0.01))
    cast = frame.blur(
        np.roll(outer, (round(0.05 * frame.unit), round(-place.light.x * 0.05 * frame.unit)), (0, 1)), 0.05
    )
    picture = over(place.backdrop, rgb((0.05, 0.05, 0.07)), cast * np.float32(0.45))
    nx, ny, nz = normals(frame.blur(outer, 0.01) * np.float32(0.03), frame.unit)
    picture = over(picture, place.cloth(place.light.on(nx, ny, nz)), outer)
    picture = over(picture, rgb((0.965, 0.96, 0.945)), frame.inside(_box(frame, 0.0, -0.06, 0.54, 0.72, 0.0)))
    art = abstract(frame, reading, words, chance)
    return place.finish(over(picture, art, frame.inside(_box(frame, 0.0, -0.06, 0.40, 0.56, 0.0))))


def _garment(place: Studio, mask: Floats, chance: np.random.Generator) -> Floats:
    frame = place.frame
    cast = frame.blur(np.roll(mask, round(0.03 * frame.unit), 0), 0.05)
    picture = over(place.backdrop, rgb((0.06, 0.06, 0.09)), cast * np.float32(0.42))
    return over(picture, _relief(place, mask, chance), mask)


def _relief(place: Studio, mask: Floats, chance: np.random.Generator, folds: float = 0.22) -> Floats:
    """Cloth that swells from its outline and falls in soft folds."""
    frame = place.frame
    swell = frame.blur(mask, 0.07) * np.float32(0.10) + frame.blur(mask, 0.02) * np.float32(0.015)
    drape = frame.clouds(chance, 3) * np.float32(0.12) + frame.clouds(chance, 7) * np.float32(0.035)
    nx, ny, nz = normals(swell + drape * np.float32(folds), frame.unit)
    return place.cloth(place.light.on(nx, ny, nz) * (ONE + twill(frame) * np.float32(0.02)))


def _glazed(place: Studio, nx: Floats, ny: Floats, nz: Floats, shine: float = 0.55) -> Floats:
    """A smooth surface with a window-like highlight."""
    shown = place.cloth(place.light.on(nx, ny, nz))
    return shown + (place.light.gloss(nx, ny, nz, 5) * np.float32(shine))[..., None]


def _crease(place: Studio, picture: Floats, points: list[Point]) -> Floats:
    line = place.frame.stroke(points, 0.007)
    return over(picture, rgb(mix(place.colour, (0.0, 0.0, 0.0), 0.6)), line * np.float32(0.45))


def _mirrored(half: tuple[Point, ...]) -> list[Point]:
    left = [(-x, y) for x, y in reversed(half[1:-1])]
    return curve([*half, *left], 10)


def _arc(half: float, top: float, depth: float) -> list[Point]:
    """A hanging arc from (-half, top) to (half, top)."""
    return [(half * t, top + depth * (1 - t * t)) for t in (i / 16 - 1 for i in range(33))]


def _ellipse(x: float, y: float, a: float, b: float, steps: int = 96) -> list[Point]:
    angles = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return [(x + a * float(np.cos(angle)), y + b * float(np.sin(angle))) for angle in angles]


def _round_body(frame: Frame, half: float, top: float, bottom: float, bulge: float) -> Floats:
    """A cylinder seen a little from above: its foot is rounder than its flat sides."""
    foot = [(x, y) for x, y in _ellipse(0.0, bottom - bulge, half, bulge) if y >= bottom - bulge]
    return frame.polygon([(half, top), *sorted(foot, reverse=True), (-half, top)])


def _box(frame: Frame, x: float, y: float, a: float, b: float, corner: float) -> Floats:
    """Signed distance to a box with round corners."""
    dx = np.abs(frame.x - np.float32(x)) - np.float32(a - corner)
    dy = np.abs(frame.y - np.float32(y)) - np.float32(b - corner)
    out_x, out_y = np.maximum(dx, 0), np.maximum(dy, 0)
    outside = np.sqrt(out_x * out_x + out_y * out_y)
    return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0) - np.float32(corner), dtype=np.float32)
