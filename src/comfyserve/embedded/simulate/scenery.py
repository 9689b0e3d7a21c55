"""Landscapes: sky with a sun or moon, ranges of mountains, a sea, a forest, a city."""

from dataclasses import dataclass

import numpy as np

from .canvas import ONE, Floats, Frame, mix, over, ramp, rgb, smooth
from .prompt import Colour, Reading


@dataclass(frozen=True)
class Mood:
    """The colours of an hour: sky from top to horizon, the sun, the haze of the distance and the near dark."""

    sky: tuple[Colour, Colour, Colour]
    sun: Colour
    far: Colour
    near: Colour


MOODS: dict[str, Mood] = {
    "day": Mood(
        ((0.28, 0.52, 0.80), (0.56, 0.76, 0.91), (0.93, 0.94, 0.91)),
        (1.0, 0.98, 0.90),
        (0.62, 0.74, 0.82),
        (0.10, 0.22, 0.22),
    ),
    "sunset": Mood(
        ((0.20, 0.20, 0.42), (0.74, 0.38, 0.46), (1.00, 0.72, 0.42)),
        (1.0, 0.90, 0.68),
        (0.80, 0.46, 0.46),
        (0.12, 0.08, 0.17),
    ),
    "dawn": Mood(
        ((0.38, 0.50, 0.70), (0.82, 0.70, 0.78), (1.00, 0.88, 0.76)),
        (1.0, 0.95, 0.84),
        (0.74, 0.68, 0.76),
        (0.15, 0.17, 0.26),
    ),
    "night": Mood(
        ((0.02, 0.03, 0.09), (0.06, 0.10, 0.22), (0.20, 0.27, 0.42)),
        (0.93, 0.95, 1.0),
        (0.16, 0.22, 0.36),
        (0.02, 0.03, 0.07),
    ),
}
NIGHT_WALL: Colour = (0.30, 0.30, 0.42)
RANGES = 6
HORIZON = 0.18
# So much is drawn by chance whatever the number of pixels, so that a scene is the same at every size.
MOST_IN_A_ROW, STARS = 600, 700


def mountains(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """Ranges that fade into the haze."""
    mood = _mood(reading)
    picture = _sky(frame, mood, chance, 0.1)
    for index in range(RANGES):
        share = index / (RANGES - 1)
        height = _ridge(frame, chance, 3 + index, 0.42 * (1 - 0.55 * share), 0.5)
        picture = _layer(frame, picture, height + np.float32(-0.12 + 0.98 * share), mood, share)
    return picture


def forest(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """Rows of firs, the near ones dark."""
    mood = _mood(reading)
    green = reading.colour or (0.16, 0.36, 0.27)
    mood = Mood(mood.sky, mood.sun, mix(mood.far, green, 0.35), mix(mood.near, green, 0.25))
    picture = _sky(frame, mood, chance, -0.1)
    for index in range(RANGES):
        share = index / (RANGES - 1)
        ground = _ridge(frame, chance, 2, 0.12, 0.2) + np.float32(-0.1 + 1.05 * share)
        trees = _firs(frame, chance, 0.05 + 0.09 * share, 0.20 + 0.34 * share)
        picture = _layer(frame, picture, ground - trees, mood, share)
    return picture


def city(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """Three rows of towers; their windows are lit when it is not day."""
    mood = _mood(reading)
    picture = _sky(frame, mood, chance, -0.05)
    for index in range(3):
        share = 0.25 + 0.375 * index
        width = 0.10 + 0.05 * index
        columns = np.floor((frame.x[0] + np.float32(8 + 0.03 * index)) / np.float32(width)).astype(np.int64)
        heights = chance.uniform(0.15, 0.75 - 0.12 * index, MOST_IN_A_ROW).astype(np.float32)
        roofs = np.float32(0.30 + 0.27 * index) - heights[columns % MOST_IN_A_ROW]
        picture = _layer(frame, picture, roofs, mood, share)
        if reading.mood == "night":
            picture = _walls(frame, picture, roofs, heights[columns % MOST_IN_A_ROW], mood, share)
        if reading.mood != "day":
            picture = _windows(frame, picture, roofs, columns, 0.022 + 0.006 * index, chance)
    return picture


def sea(frame: Frame, reading: Reading, words: np.random.Generator, chance: np.random.Generator) -> Floats:
    """Water to the horizon, with the light's path on it."""
    mood = _mood(reading)
    sun = float(chance.uniform(-0.45, 0.45))
    picture = _sky(frame, mood, chance, HORIZON - 0.35, sun)
    depth = np.clip(frame.y - np.float32(HORIZON), 0, None)
    blue = reading.colour or (0.08, 0.30, 0.42)
    far, near = mix(mood.sky[2], blue, 0.45), mix(mood.near, blue, 0.45)
    water = np.broadcast_to(ramp([(0.0, far), (0.75, near)], depth), picture.shape)
    ripples = _ripples(frame, chance, depth)
    water = over(water, rgb(mood.sky[2]), np.clip(ripples, 0, 1) * np.float32(0.30))
    path = smooth(1.0, 0.0, np.abs(frame.x - np.float32(sun)) / (np.float32(0.10) + depth * np.float32(0.45)))
    water = over(water, rgb(mood.sun), path * np.clip(ripples + np.float32(0.45), 0, 1) * np.float32(0.75))
    picture = over(picture, water, frame.inside(np.float32(HORIZON) - frame.y + frame.x * 0))
    coast = _ridge(frame, chance, 3, 0.16, 0.5) + np.float32(HORIZON - 0.01 + 0.10)
    land = smooth(0.1, 0.9, np.abs(frame.x[0] + np.float32(sun))) * np.float32(0.12)
    shape = frame.inside(np.maximum(coast[None, :] - land[None, :] - frame.y, frame.y - np.float32(HORIZON)))
    return over(picture, rgb(mix(mood.far, mood.near, 0.35)), shape)


def _mood(reading: Reading) -> Mood:
    return MOODS.get(reading.mood, MOODS["day"])


def _sky(frame: Frame, mood: Mood, chance: np.random.Generator, low: float, at: float | None = None) -> Floats:
    x = float(chance.uniform(-0.5, 0.5)) if at is None else at
    y = low - float(chance.uniform(0.05, 0.35))
    top, middle, bottom = mood.sky
    rows = ramp([(-1.1, top), (-0.3, middle), (0.35, bottom)], frame.y)
    picture = np.broadcast_to(rows, (frame.height, frame.width, 3))
    clouds = frame.clouds(chance, 3) * np.float32(0.6) + frame.clouds(chance, 7) * np.float32(0.4)
    streaks = smooth(0.0, 0.75, clouds) * smooth(0.2, -0.5, frame.y)
    picture = over(picture, rgb(mix(bottom, mood.sun, 0.5)), streaks * np.float32(0.35))
    if mood is MOODS["night"]:
        picture = over(picture, rgb(mood.sun), _stars(frame, chance) * smooth(0.3, -0.4, frame.y))
    away = np.sqrt((frame.x - np.float32(x)) ** 2 + (frame.y - np.float32(y)) ** 2)
    glow = ONE / (ONE + away * away * np.float32(9))
    picture = over(picture, rgb(mood.sun), glow * glow * np.float32(0.6))
    return over(picture, rgb(mix(mood.sun, (1.0, 1.0, 1.0), 0.4)), frame.inside(away - np.float32(0.11)))


def _stars(frame: Frame, chance: np.random.Generator) -> Floats:
    """Points of some brightness, each one pixel at 512 pixels and larger above."""
    down, across, light = chance.random((3, STARS), dtype=np.float32)
    side = max(1, round(min(frame.width, frame.height) / 512))
    field = np.zeros((-(-frame.height // side), -(-frame.width // side)), np.float32)
    field[(down * field.shape[0]).astype(np.int64), (across * field.shape[1]).astype(np.int64)] = light * light
    return np.kron(field, np.ones((side, side), np.float32))[: frame.height, : frame.width]


def _layer(frame: Frame, picture: Floats, line: Floats, mood: Mood, share: float) -> Floats:
    """Everything under the line in the colour of its distance, with mist at its foot."""
    below = frame.y - line[None, :]
    colour = mix(mood.far, mood.near, share**0.8)
    mist = mix(colour, mood.sky[2], 0.42 * (1 - share))
    return over(picture, ramp([(0.0, colour), (0.55, mist)], below), frame.inside(-below))


def _ridge(frame: Frame, chance: np.random.Generator, cells: int, height: float, rough: float) -> Floats:
    """A mountain line as heights per column: coarse shapes first, finer and flatter ones on top."""
    line = np.zeros(frame.width, dtype=np.float32)
    for octave in range(5):
        noise = _row(frame, chance, cells * 2**octave)
        line -= (ONE - np.abs(noise) * 2) * np.float32(height * 0.5 * rough**octave)
    return line


def _row(frame: Frame, chance: np.random.Generator, cells: int) -> Floats:
    """Smooth noise -1..1 along the columns."""
    count = max(4, round(cells * frame.width / min(frame.width, frame.height)) + 3)
    knots = chance.uniform(-1, 1, count).astype(np.float32)
    place = np.linspace(0, count - 1.001, frame.width, dtype=np.float32)
    left = place.astype(np.int64)
    t = place - left
    t = t * t * (3 - 2 * t)
    return np.asarray(knots[left] * (ONE - t) + knots[left + 1] * t, dtype=np.float32)


def _firs(frame: Frame, chance: np.random.Generator, width: float, height: float) -> Floats:
    """The height of a row of firs per column: triangles with stepped branches."""
    phase = (frame.x[0] + np.float32(8 + chance.uniform(0, 1))) / np.float32(width)
    number = np.floor(phase).astype(np.int64)
    tall = chance.uniform(0.45, 1.0, MOST_IN_A_ROW).astype(np.float32)[number % MOST_IN_A_ROW]
    side = np.abs(phase - number - np.float32(0.5)) * 2
    steps = np.floor(side * 6) / np.float32(6)
    return np.asarray(
        tall * np.float32(height) * (ONE - side * np.float32(0.55) - steps * np.float32(0.45)), np.float32
    )


def _walls(frame: Frame, picture: Floats, roofs: Floats, heights: Floats, mood: Mood, share: float) -> Floats:
    """Towers at night: walls brighter than the dark, each a little apart from the next."""
    number = heights * np.float32(53)
    lit = (np.float32(0.75 - 0.5 * share) + np.float32(0.3) * (number - np.floor(number)))[None, :]
    below = frame.y - roofs[None, :]
    wall = mix(mood.far, NIGHT_WALL, 0.5)
    return over(picture, rgb(wall), frame.inside(-below) * lit * (ONE - smooth(0.2, 1.1, below) * np.float32(0.5)))


def _windows(
    frame: Frame, picture: Floats, roofs: Floats, columns: np.ndarray, size: float, chance: np.random.Generator
) -> Floats:
    across = (frame.x + np.float32(8)) / np.float32(size)
    down = (frame.y + np.float32(8)) / np.float32(size * 1.5)
    lit = chance.random((MOST_IN_A_ROW, MOST_IN_A_ROW), dtype=np.float32)
    rows, places = (np.floor(one).astype(np.int64) % MOST_IN_A_ROW for one in (down, across))
    on = lit[rows, places] > np.float32(0.62)
    pane = (np.abs(across - np.floor(across) - np.float32(0.5)) < 0.28) & (
        np.abs(down - np.floor(down) - np.float32(0.5)) < 0.3
    )
    inside = frame.y > roofs[None, :] + np.float32(size)
    return over(picture, rgb((1.0, 0.82, 0.50)), (on & pane & inside).astype(np.float32) * np.float32(0.8))


def _ripples(frame: Frame, chance: np.random.Generator, depth: Floats) -> Floats:
    """Waves that lie flat and grow towards the viewer, about -1..1."""
    wide = Frame(frame.width, max(8, frame.height))
    rows = chance.random((128, 24), dtype=np.float32) * 2 - 1
    near = np.sqrt(depth / np.float32(max(float(depth.max()), 1e-3)))
    row = np.clip((near * 127).astype(np.int64), 0, 127)[:, 0]
    place = (wide.x[0] + 8) * 6
    left = np.floor(place).astype(np.int64)
    t = place - left
    t = t * t * (3 - 2 * t)
    shifted = (left[None, :] + (row[:, None] * 7)) % 24
    following = (shifted + 1) % 24
    return np.asarray(rows[row[:, None], shifted] * (ONE - t) + rows[row[:, None], following] * t, dtype=np.float32)
