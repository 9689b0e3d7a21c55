"""Compositions for prompts without a known subject: layered waves of light over a gradient."""

import numpy as np

from .canvas import Floats, Frame, mix, over, ramp, rgb, smooth
from .prompt import COLOURS, Colour, Reading

PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((0.06, 0.09, 0.20), (0.16, 0.26, 0.52), (0.55, 0.42, 0.72), (0.96, 0.62, 0.52), (1.00, 0.87, 0.70)),
    ((0.03, 0.13, 0.16), (0.05, 0.33, 0.37), (0.25, 0.60, 0.56), (0.72, 0.84, 0.69), (0.98, 0.93, 0.78)),
    ((0.17, 0.07, 0.16), (0.43, 0.12, 0.28), (0.80, 0.30, 0.33), (0.97, 0.62, 0.40), (1.00, 0.88, 0.66)),
    ((0.10, 0.10, 0.14), (0.27, 0.27, 0.36), (0.52, 0.53, 0.62), (0.80, 0.78, 0.79), (0.97, 0.94, 0.91)),
    ((0.05, 0.10, 0.25), (0.09, 0.27, 0.55), (0.20, 0.53, 0.78), (0.60, 0.82, 0.90), (0.96, 0.96, 0.92)),
    ((0.12, 0.15, 0.10), (0.27, 0.36, 0.21), (0.55, 0.60, 0.35), (0.86, 0.78, 0.52), (0.98, 0.93, 0.80)),
)
LAYERS = 7


def abstract(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """Waves whose palette and count the prompt decides, and whose shapes the seed decides."""
    palette = _palette(reading, words)
    warp = frame.clouds(chance, 2) * np.float32(0.45)
    tilt = np.float32(chance.uniform(-0.5, 0.5))
    depth = frame.y / np.float32(2 * frame.height / min(frame.width, frame.height)) + np.float32(0.5)
    picture = ramp([(0.0, palette[3]), (0.55, palette[4]), (1.1, palette[2])], depth + frame.x * tilt * np.float32(0.2))
    sun = (chance.uniform(-0.5, 0.5), chance.uniform(-0.7, -0.2))
    away = np.sqrt((frame.x - np.float32(sun[0])) ** 2 + (frame.y - np.float32(sun[1])) ** 2)
    picture = over(picture, rgb(mix(palette[4], (1, 1, 1), 0.5)), smooth(1.1, 0.0, away) * np.float32(0.55))
    picture = over(
        picture, rgb(mix(palette[4], (1, 1, 1), 0.7)), frame.inside(away - np.float32(0.2)) * np.float32(0.9)
    )
    for layer in range(LAYERS):
        picture = _wave(frame, picture, palette, layer, chance, warp)
    return picture


def _wave(
    frame: Frame, picture: Floats, palette: list[Colour], layer: int, chance: np.random.Generator, warp: Floats
) -> Floats:
    share = layer / (LAYERS - 1)
    base = np.float32(-0.25 + 1.15 * share)
    line = frame.clouds(chance, 2)[frame.height // 2] * np.float32(0.30) + frame.clouds(chance, 4)[0] * np.float32(0.07)
    below = frame.y - base - line[None, :] * np.float32(1 - 0.4 * share)
    colour = mix(palette[3], palette[0], share) if layer % 2 else mix(palette[2], palette[1], share)
    lit = mix(colour, palette[4], 0.45 * (1 - 0.5 * share))
    shades = ramp([(-0.02, lit), (0.5, colour)], below + warp * np.float32(0.12))
    shadow = smooth(-0.16, 0.0, below) * np.float32(0.22)
    return over(over(picture, rgb(palette[0]), shadow), shades, frame.inside(-below))


def _palette(reading: Reading, words: np.random.Generator) -> list[Colour]:
    palette = list(PALETTES[int(words.integers(len(PALETTES)))])
    if reading.colour is None:
        return palette
    deep, pale = COLOURS["black"], COLOURS["ivory"]
    colour = reading.colour
    return [mix(colour, deep, 0.75), mix(colour, deep, 0.4), colour, mix(colour, pale, 0.45), mix(colour, pale, 0.85)]
