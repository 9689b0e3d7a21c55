"""One picture as the simulated model sees it: the scene of the words, regions, tone, the looks of what was added."""

from __future__ import annotations

import numpy as np

from .canvas import Floats
from .chance import generator
from .latent import resized, rounded_bytes, to_floats
from .model import Bytes, Look
from .recolour import blend, palette, recoloured
from .sampler import Task
from .scene import render
from .style import accented, styled
from .wish import Region, Wish, words_of

# Shares of a region's width and height over which it fades into its surroundings.
FEATHER = 0.12
NEUTRAL_CFG, CFG_CONTRAST, MOST_CFG = 7.0, 0.012, 20.0


def draw(task: Task, wish: Wish, seed: str, width: int, height: int) -> Bytes:
    """The picture [H,W,3] that this task makes of nothing; `seed` decides the composition."""
    scene = _scene(wish, seed, width, height)
    for number, region in enumerate(wish.regions):
        scene = _with_region(scene, region, f"{seed}/{number}")
    toned = _toned(scene, task, wish, seed)
    toned = accented(toned, " ".join(words_of(task.negative).lower().split()), task.model.identity, task.method)
    picture = rounded_bytes(styled(toned, (*task.model.parts, *wish.parts)))
    for look in (*wish.looks, *task.model.looks):
        share = min(1.0, 0.75 * look.strength)
        picture = blend(picture, recoloured(picture, palette(look.picture)), share)
    return picture


def _scene(wish: Wish, seed: str, width: int, height: int) -> Floats:
    if not wish.words.strip() and wish.looks:
        return _variation(wish.looks[0], seed, width, height)
    scene = render(wish.words, seed, width, height)
    if wish.other and wish.other_share > 0:
        other = palette(rounded_bytes(render(wish.other, seed, width, height)))
        plain = rounded_bytes(scene)
        scene = to_floats(blend(plain, recoloured(plain, other), wish.other_share))
    return scene


def _variation(look: Look, seed: str, width: int, height: int) -> Floats:
    """Without words the look's own picture comes back, from another side."""
    picture = look.picture[:, ::-1] if generator("side", seed).random() < 0.5 else look.picture
    inset = max(1, min(picture.shape[:2]) // 16)
    return to_floats(resized(np.ascontiguousarray(picture[inset:-inset, inset:-inset]), width, height))


def _with_region(scene: Floats, region: Region, seed: str) -> Floats:
    height, width = scene.shape[:2]
    strength = np.float32(min(1.0, region.strength))
    if region.mask is not None:
        mask = to_floats(resized(rounded_bytes(region.mask), width, height))[..., None] * strength
        return np.asarray(scene * (1 - mask) + render(region.words, seed, width, height) * mask, np.float32)
    top, left, tall, wide = region.box or (0.0, 0.0, 1.0, 1.0)
    rows = slice(max(0, round(top * height)), min(height, round((top + tall) * height)))
    columns = slice(max(0, round(left * width)), min(width, round((left + wide) * width)))
    size = (rows.stop - rows.start, columns.stop - columns.start)
    if min(size) < 8:
        return scene
    inner = render(region.words, seed, size[1], size[0])
    share = _fading(size[0], rows.start > 0, rows.stop < height)[:, None]
    share = (share * _fading(size[1], columns.start > 0, columns.stop < width)[None, :])[..., None] * strength
    result = scene.copy()
    result[rows, columns] = scene[rows, columns] * (1 - share) + inner * share
    return result


def _fading(length: int, at_start: bool, at_end: bool) -> Floats:
    """1 along a side, fading at the ends that are inside the picture."""
    place = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(max(1.0, length * FEATHER))
    first = np.minimum(place, 1) if at_start else np.ones_like(place)
    last = np.minimum(place[::-1], 1) if at_end else np.ones_like(place)
    share = first * last
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _toned(picture: Floats, task: Task, wish: Wish, seed: str) -> Floats:
    """Guidance raises contrast and few steps leave grain, both a little, as with a real model."""
    guidance = task.cfg if wish.guidance is None else task.cfg + wish.guidance
    contrast = np.float32(1 + CFG_CONTRAST * (min(guidance, MOST_CFG) - NEUTRAL_CFG))
    toned = (picture - np.float32(0.5)) * contrast + np.float32(0.5)
    strength = np.float32(0.004 + 0.05 / (task.steps + 1))
    grain = generator("grain", seed, task.steps).random(picture.shape[:2], dtype=np.float32) - np.float32(0.5)
    return np.asarray(toned + (grain * strength)[..., None], np.float32)
