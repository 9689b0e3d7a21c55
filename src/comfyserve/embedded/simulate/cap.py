"""A baseball cap from the front: a crown of sewn panels, a curved brim with rows of stitches, a button."""

import numpy as np

from .canvas import ONE, Floats, Frame, Point, mix, over, rgb, smooth
from .prompt import Reading
from .studio import Studio, studio

HALF_WIDTH, HEIGHT, DEPTH = 0.59, 0.745, 0.60
BASE_Y = 0.16
BRIM_HALF, BRIM_DROP, BRIM_ARCH = 0.648, 0.345, 0.225
BRIM_TOP = 0.085
# Panels meet at these (cos, sin) of the angle seen from above, 0 being the front.
SEAMS = ((1.0, 0.0), (0.515, 0.857), (0.515, -0.857))
BRIM_ROWS = 7


def cap(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """The cap alone in a studio."""
    place = studio(frame, reading, chance, "black")
    picture = place.shadow(place.backdrop, 0.505, 0.72, 0.10, 0.62)
    picture = _button(place, picture)
    picture = _crown(place, picture, chance)
    picture = _brim(place, picture, chance)
    return place.finish(picture)


def _crown(place: Studio, picture: Floats, chance: np.random.Generator) -> Floats:
    frame = place.frame
    x, up = frame.x / np.float32(HALF_WIDTH), (np.float32(BASE_Y) - frame.y) / np.float32(HEIGHT)
    ax, ay = np.abs(x), np.clip(up, 0, 1)
    px, py = ax * ax * np.sqrt(np.sqrt(ax)), ay * ay * np.sqrt(ay)
    z = np.sqrt(np.clip(ONE - px - py, np.float32(1e-4), 1))
    nx = np.float32(2.25 / HALF_WIDTH) * np.sign(x) * ax * np.sqrt(np.sqrt(ax))
    ny = np.float32(-2.5 / HEIGHT) * ay * np.sqrt(ay)
    nz = np.float32(2 / DEPTH) * z
    soft = frame.clouds(chance, 5)
    folds_y, folds_x = np.gradient(soft)
    strength = np.float32(0.05 * frame.unit)
    nx = nx + folds_x * strength + _puff(frame, z)
    ny = ny + folds_y * strength
    length = ONE / np.sqrt(nx * nx + ny * ny + nz * nz)
    light = place.light.on(nx * length, ny * length, nz * length)
    shine = place.light.gloss(nx * length, ny * length, nz * length, 3)
    light = light * (ONE - smooth(0.22, -0.02, up) * np.float32(0.36)) + shine * np.float32(0.42)
    light = light * (ONE + twill(frame) * np.float32(0.05))
    light = _seams(frame, light, z, up)
    light = _eyelets(frame, light)
    return over(picture, place.cloth(light), frame.polygon(_crown_outline()))


def _puff(frame: Frame, z: Floats) -> Floats:
    """Panels swell between their seams: the normal leans away from each seam."""
    lean = np.zeros_like(z)
    for cos, sin in SEAMS:
        away = frame.x * np.float32(cos) - z * np.float32(DEPTH * sin)
        near = ONE / (ONE + away * away * np.float32(900))
        lean = lean - np.clip(away * 40, -1, 1) * near * np.float32(0.55)
    return lean


def _seams(frame: Frame, light: Floats, z: Floats, up: Floats) -> Floats:
    pixel = 1 / frame.unit
    for cos, sin in SEAMS:
        away = np.abs(frame.x * np.float32(cos) - z * np.float32(DEPTH * sin))
        light = light * (ONE - smooth(0.006 + pixel, 0.001, away) * np.float32(0.45))
        rows = smooth(0.004 + pixel * 0.7, 0.0, np.abs(away - np.float32(0.021)))
        light = light + rows * _dashes(up, 46) * smooth(0.93, 0.90, up) * np.float32(0.20)
    return light


def _eyelets(frame: Frame, light: Floats) -> Floats:
    for side in (-1, 1):
        dx = (frame.x - np.float32(side * 0.315)) / np.float32(0.8)
        dy = frame.y - np.float32(-0.36)
        away = np.sqrt(dx * dx + dy * dy)
        light = light + smooth(0.008, 0.0, np.abs(away - np.float32(0.016))) * np.float32(0.28)
        light = light * (ONE - smooth(0.012, 0.006, away) * np.float32(0.85))
    return light


def _brim(place: Studio, picture: Floats, chance: np.random.Generator) -> Floats:
    frame = place.frame
    x = frame.x / np.float32(BRIM_HALF)
    ax = np.clip(np.abs(x), 0, 1)
    inner = np.float32(BRIM_TOP) + np.float32(BRIM_ARCH) * x * x
    reach = np.float32(BRIM_DROP) * np.sqrt(ONE - ax * ax * np.sqrt(ax)) + np.float32(1e-3)
    v = np.clip((frame.y - inner) / reach, 0, 1)
    nx = x * np.float32(0.62) + frame.clouds(chance, 3) * np.float32(0.02)
    ny = np.float32(-0.85) + v * v * np.float32(0.35)
    nz = np.float32(0.62) + v * v * np.float32(0.25) + np.zeros_like(nx)
    length = ONE / np.sqrt(nx * nx + ny * ny + nz * nz)
    light = place.light.on(nx * length, ny * length, nz * length)
    light = light * (ONE - smooth(0.42, 0.0, v) * np.float32(0.55)) * (ONE + twill(frame) * np.float32(0.04))
    light = light + place.light.gloss(nx * length, ny * length, nz * length, 4) * np.float32(0.22)
    light = light * (ONE - smooth(0.75, 1.0, np.abs(x)) * np.float32(0.25))
    light = _rows(frame, light, v, reach)
    outline = _brim_outline(0.0)
    shell = frame.polygon(_brim_outline(0.024))
    under = rgb(mix(place.colour, (0.0, 0.0, 0.0), 0.55))
    cast = frame.blur(frame.polygon(_brim_outline(-0.004)), 0.022) * frame.polygon(_crown_outline())
    picture = over(picture, under, cast * np.float32(0.55))
    picture = over(picture, under, shell)
    return over(picture, place.cloth(light), frame.polygon(outline))


def _rows(frame: Frame, light: Floats, v: Floats, reach: Floats) -> Floats:
    """Rows of stitches along the brim, and the bright fold of its edge."""
    pixel = 1 / frame.unit
    for row in range(BRIM_ROWS):
        away = np.abs(v - np.float32(0.16 + 0.72 * row / (BRIM_ROWS - 1))) * reach
        line = smooth(0.0035 + pixel * 0.7, 0.0, away)
        groove = smooth(0.011 + pixel, 0.0, away)
        dashes = _dashes(frame.x + np.zeros_like(v) + np.float32(0.003 * row), 42)
        light = light * (ONE - groove * np.float32(0.13)) + line * dashes * np.float32(0.24)
    edge = smooth(0.014 + pixel, 0.0, (ONE - v) * reach)
    return light + edge * np.float32(0.20)


def _button(place: Studio, picture: Floats) -> Floats:
    frame = place.frame
    dx, dy = frame.x / np.float32(0.058), (frame.y - np.float32(BASE_Y - HEIGHT + 0.004)) / np.float32(0.034)
    away = np.sqrt(dx * dx + dy * dy)
    nz = np.sqrt(np.clip(ONE - away * away, np.float32(1e-4), 1))
    light = place.light.on(np.clip(dx, -1, 1), np.clip(dy, -1, 1), nz)
    return over(picture, place.cloth(light), np.clip((ONE - away) * np.float32(0.04 * frame.unit), 0, 1))


def twill(frame: Frame) -> Floats:
    """The diagonal weave of cotton, -1..1, never finer than three pixels."""
    period = max(0.013, 3 / frame.unit)
    phase = (frame.x + frame.y * np.float32(1.3)) / np.float32(period)
    return np.asarray(np.abs(phase - np.floor(phase) - np.float32(0.5)) * 4 - ONE, dtype=np.float32)


def _dashes(along: Floats, per_unit: float) -> Floats:
    phase = along * np.float32(per_unit)
    return smooth(0.36, 0.28, np.abs(phase - np.floor(phase) - np.float32(0.5)))


def _crown_outline(steps: int = 96) -> list[Point]:
    """The superellipse |x|^2.25 + y^2.5 = 1 over the base, closed along the brim."""
    xs = [_even(2 * i / steps - 1) for i in range(steps + 1)]
    top = [(x * HALF_WIDTH, BASE_Y - HEIGHT * (1 - abs(x) ** 2.25) ** 0.4) for x in xs]
    bottom = [(x * HALF_WIDTH, BRIM_TOP + BRIM_ARCH * (x * HALF_WIDTH / BRIM_HALF) ** 2 + 0.03) for x in reversed(xs)]
    return top + bottom


def _brim_outline(thickness: float, steps: int = 96) -> list[Point]:
    xs = [_even(2 * i / steps - 1) for i in range(steps + 1)]
    inner = [(x * BRIM_HALF, BRIM_TOP + BRIM_ARCH * x * x) for x in xs]
    outer = [(x, y + BRIM_DROP * (1 - abs(x / BRIM_HALF) ** 2.5) ** 0.5 + thickness) for x, y in reversed(inner)]
    return inner + outer


def _even(t: float) -> float:
    """Spread places on -1..1 closer to the ends, where the outlines turn quickly."""
    return t * (1.5 - 0.5 * t * t)
