"""Clips: frames that move smoothly through one scene, or from one given picture to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from .model import Bytes
from .recolour import blend

# Shares of the picture that the camera travels over a whole clip, and how far it goes in.
PAN, ZOOM = 0.05, 0.12
MOST_ZOOM = 0.45


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera goes during a clip: to the side, down, and in (or, negative, out)."""

    right: float = 0.0
    down: float = 0.0
    into: float = ZOOM


# How much chance adds to a movement that words name.
HAND = 0.15
STILL = Camera(into=0.0)
# Words in forms such as "pans to the left", "zooming slowly in" and, of motion LoRAs, "PanLeft" and "zoom_in".
_PAN, _TILT = (
    rf"(?<![a-z])(?:{verb})[\s_-]*(?:slowly |gently )?(?:to the )?"
    for verb in ("pan(?:s|n?ed|n?ing)?", "(?:pan|tilt)(?:s|n?ed|n?ing)?")
)
_ZOOM, _PUSH, _PULL, _DOLLY, _MOVE = (
    rf"(?<![a-z])(?:{verb})[\s_-]*(?:slowly |gently )?"
    for verb in (
        "zoom(?:s|ed|ing)?",
        "push(?:es|ed|ing)?",
        "pull(?:s|ed|ing)?",
        "dolly|dollies|dollying",
        "mov(?:es?|ing)",
    )
)
_NAMED: Final[tuple[tuple[str, Camera], ...]] = (
    (r"static|fixed camera|locked.?off", STILL),
    (rf"{_PAN}left", Camera(right=-PAN * 2, into=0.02)),
    (rf"{_PAN}right", Camera(right=PAN * 2, into=0.02)),
    (rf"{_TILT}up", Camera(down=-PAN * 2, into=0.02)),
    (rf"{_TILT}down", Camera(down=PAN * 2, into=0.02)),
    (rf"{_ZOOM}out|(?:{_PULL}|{_DOLLY})(?:out|back)|{_MOVE}(?:backwards?|away)", Camera(into=-0.22)),
    (rf"(?:{_ZOOM}|{_PUSH})in(?:to|wards?)?(?![a-z])|{_DOLLY}|{_MOVE}(?:forwards?|towards?)", Camera(into=0.25)),
)


def camera_for(words: str, chance: np.random.Generator) -> Camera:
    """The camera that the words name, moved a little by chance, else a slow one by chance."""
    plain = words.lower()
    for pattern, camera in _NAMED:
        if re.search(pattern, plain):
            return camera if camera == STILL else _held(camera, chance)
    side, down = chance.uniform(-PAN, PAN, 2)
    into = ZOOM if chance.random() < 0.7 else -ZOOM
    return Camera(float(side), float(down), into)


def _held(camera: Camera, chance: np.random.Generator) -> Camera:
    """The camera as a hand holds it, that chance moves a little."""
    side, down, into = (float(part) for part in chance.uniform(-HAND, HAND, 3))
    return Camera(camera.right + PAN * side, camera.down + PAN * down, camera.into * (1 + into))


def clip(keys: Mapping[int, Bytes], later: Mapping[int, Bytes], length: int, camera: Camera) -> Iterator[Bytes]:
    """`length` frames [H,W,3]; the pictures of `keys` (frame number -> picture, one or more) stand at their numbers.

    Between two of them the first moves and gives way to the second; with time they turn into those of `later`.
    """
    return (_frame(keys, later, number, length, camera) for number in range(length))


def _frame(keys: Mapping[int, Bytes], later: Mapping[int, Bytes], number: int, length: int, camera: Camera) -> Bytes:
    marks = sorted(keys)
    before = max((mark for mark in marks if mark <= number), default=marks[0])
    after = min((mark for mark in marks if mark > number), default=None)
    span = max(length - 1, 1)
    time = (number - before) / span
    turned = blend(keys[before], later[before], time) if before in later else keys[before]
    shown = _moved(turned, time, camera)
    if after is None or after == before:
        return shown
    done = (number - before) / (after - before)
    coming = _moved(keys[after], (number - after) / span, camera)
    return blend(shown, coming, done * done * (3 - 2 * done))


def _moved(picture: Bytes, time: float, camera: Camera) -> Bytes:
    """The picture as the camera sees it after a share of its way, -1..1; 0 leaves it as it is."""
    if time == 0:
        return picture
    height, width = picture.shape[:2]
    ease = time * (1.5 - 0.5 * abs(time))
    into = abs(camera.into) * (1 - abs(ease)) if camera.into < 0 else camera.into * abs(ease)
    # A camera that goes out starts inside; at its first frame the picture must be whole, so it goes in and comes back.
    room = min(MOST_ZOOM, max(into, 2 * abs(camera.right * ease), 2 * abs(camera.down * ease)))
    left = width * (room / 2 + camera.right * ease)
    top = height * (room / 2 + camera.down * ease)
    box = (left, top, left + width * (1 - room), top + height * (1 - room))
    fit = (max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3]))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR, box=fit), np.uint8)
