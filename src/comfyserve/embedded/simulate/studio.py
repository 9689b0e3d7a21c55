"""What all product pictures share: backdrop, floor shadow, lights, cloth and gloss."""

from dataclasses import dataclass

import numpy as np

from .canvas import ONE, Floats, Frame, Light, mix, over, ramp, rgb, smooth
from .prompt import COLOURS, Colour, Reading

TINTS: tuple[Colour, ...] = (
    (0.90, 0.89, 0.87),
    (0.92, 0.88, 0.84),
    (0.86, 0.89, 0.91),
    (0.91, 0.87, 0.88),
    (0.87, 0.90, 0.87),
)


@dataclass(frozen=True)
class Studio:
    """One set: the frame, the key light, the product's colour and the backdrop behind it."""

    frame: Frame
    light: Light
    colour: Colour
    backdrop: Floats

    def cloth(self, light: Floats, colour: Colour | None = None) -> Floats:
        """Matt fabric under this brightness; dark cloth shows a little sheen, so that its shape can be read."""
        own = self.colour if colour is None else colour
        sheen = np.float32(0.15 * (1 - max(own)) ** 2)
        lit = light[..., None]
        shown = rgb(own) * (np.float32(0.22) + np.float32(0.84) * lit) + sheen * lit * lit * rgb((0.98, 1.0, 1.06))
        return _shoulder(shown)

    def finish(self, picture: Floats) -> Floats:
        """Darken the corners a little."""
        x, y = self.frame.x, self.frame.y
        return np.asarray(picture * (ONE - smooth(0.7, 2.6, x * x + y * y) * np.float32(0.16))[..., None], np.float32)

    def shadow(self, picture: Floats, y: float, half_width: float, depth: float, strength: float) -> Floats:
        """A soft shadow on the floor, and a tight dark one where the product touches it."""
        slide = -self.light.x * 0.10
        soft = _ellipse(self.frame, slide, y, half_width * 1.12, depth * 1.7)
        tight = _ellipse(self.frame, slide * 0.3, y - depth * 0.35, half_width * 0.86, depth * 0.5)
        ink = rgb(mix((0.0, 0.0, 0.02), self.colour, 0.12))
        picture = over(picture, ink, soft * np.float32(strength * 0.55))
        return over(picture, ink, tight * np.float32(strength * 0.6))


def studio(frame: Frame, reading: Reading, chance: np.random.Generator, default: str) -> Studio:
    """The set for a product: the prompt gives the colours, chance the light and the backdrop's tint."""
    colour = reading.colour or COLOURS[default]
    side = -1.0 if chance.random() < 0.75 else 1.0
    light = Light(side * chance.uniform(0.35, 0.65), chance.uniform(-0.75, -0.55), chance.uniform(0.62, 0.8))
    tint = reading.backdrop or TINTS[int(chance.integers(len(TINTS)))]
    if reading.backdrop is None and min(colour) > 0.75:
        tint = mix(tint, (0.48, 0.53, 0.58), 0.45)
    return Studio(frame, light, colour, _backdrop(frame, light, tint))


def _backdrop(frame: Frame, light: Light, tint: Colour) -> Floats:
    """A paper sweep: wall and floor melt into each other, with a pool of light behind the product."""
    wall, floor = mix(tint, (0.30, 0.31, 0.34), 0.16), mix(tint, (1.0, 1.0, 1.0), 0.28)
    rows = ramp([(-1.2, wall), (0.15, tint), (0.45, mix(tint, floor, 0.4)), (1.0, floor)], frame.y)
    dx, dy = frame.x - np.float32(light.x * 0.5), frame.y + np.float32(0.25)
    glow = ONE / (ONE + np.float32(1.3) * (dx * dx + dy * dy))
    picture = np.broadcast_to(rows, (frame.height, frame.width, 3))
    return np.asarray(over(picture, rgb((1.0, 1.0, 0.995)), glow * glow * np.float32(0.55)), np.float32)


def _shoulder(shown: Floats) -> Floats:
    """Bright values approach white slowly instead of clipping, so that white cloth keeps its folds."""
    knee, room = np.float32(0.80), np.float32(0.36)
    above = np.clip(shown - knee, 0, None)
    return np.asarray(np.minimum(shown, knee) + above / (ONE + above / room), dtype=np.float32)


def _ellipse(frame: Frame, x: float, y: float, a: float, b: float) -> Floats:
    dx, dy = (frame.x - np.float32(x)) / np.float32(a), (frame.y - np.float32(y)) / np.float32(b)
    return smooth(1.0, 0.0, np.sqrt(dx * dx + dy * dy))
