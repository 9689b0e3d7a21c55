"""Latents cut, turned, resized and mixed without a model (protocol spec section 14: Latent nodes without a model)."""

from __future__ import annotations

import numpy as np

from comfyserve.embedded.nodes.declare import LATENT, MASK, MAX_SIDE, Family, boolean, choice, integer, number
from comfyserve.embedded.pixels.arrays import Mask, check_room, fit_batch
from comfyserve.embedded.pixels.latents import (
    METHODS,
    PIXELS,
    Latent,
    Samples,
    fitted,
    moved,
    paste,
    resize,
    samples_of,
)

family = Family()

MODULE = "comfy_extras.nodes_latent"
ADVANCED = "latent/advanced"
SMALLEST = 64
POINT = {"x": integer(0, 0, MAX_SIDE, 8), "y": integer(0, 0, MAX_SIDE, 8)}
PAIR = {"samples1": LATENT, "samples2": LATENT}
TURNS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}
# The axis of [B,C,h,w], and that of the carried pictures [B,H,W,3].
FLIPS = {"x-axis: vertically": (2, 1), "y-axis: horizontally": (3, 2)}
AXES = {"x": -1, "y": -2, "t": -3}


@family.node(
    "LatentUpscale",
    "nodes",
    "latent",
    {
        "samples": LATENT,
        "upscale_method": choice(*METHODS),
        "width": integer(512, 0, MAX_SIDE, 8),
        "height": integer(512, 0, MAX_SIDE, 8),
        "crop": choice("disabled", "center"),
    },
    ("LATENT",),
    title="Upscale Latent",
)
def upscale_latent(samples: Latent, upscale_method: str, width: int, height: int, crop: str) -> Latent:
    """The asked size in pixels, at least 64; a side of 0 follows the other one, 0 and 0 leave the latent alone."""
    if width == 0 and height == 0:
        return samples
    cells = samples_of(samples)
    rows, columns = cells.shape[-2:]
    new_width, new_height = max(SMALLEST, width), max(SMALLEST, height)
    if width == 0:
        new_width = max(SMALLEST, round(columns * new_height / rows))
    elif height == 0:
        new_height = max(SMALLEST, round(rows * new_width / columns))
    return moved(samples, resize(cells, new_width // PIXELS, new_height // PIXELS, upscale_method, crop))


@family.node(
    "LatentUpscaleBy",
    "nodes",
    "latent",
    {"samples": LATENT, "upscale_method": choice(*METHODS), "scale_by": number(1.5, 0.01, 8.0, 0.01)},
    ("LATENT",),
    title="Upscale Latent By",
)
def upscale_latent_by(samples: Latent, upscale_method: str, scale_by: float) -> Latent:
    """Both sides times a factor, rounded."""
    cells = samples_of(samples)
    rows, columns = cells.shape[-2:]
    return moved(samples, resize(cells, round(columns * scale_by), round(rows * scale_by), upscale_method))


@family.node(
    "LatentRotate",
    "nodes",
    "latent/transform",
    {"samples": LATENT, "rotation": choice(*TURNS)},
    ("LATENT",),
    title="Rotate Latent",
)
def rotate(samples: Latent, rotation: str) -> Latent:
    """Clockwise by quarter turns."""
    turns = TURNS[rotation]
    turned = np.rot90(samples_of(samples), turns, (3, 2))
    return moved(samples, turned, lambda pictures, _: np.rot90(pictures, turns, (2, 1)))


@family.node(
    "LatentFlip",
    "nodes",
    "latent/transform",
    {"samples": LATENT, "flip_method": choice(*FLIPS)},
    ("LATENT",),
    title="Flip Latent",
)
def flip(samples: Latent, flip_method: str) -> Latent:
    """Mirrored: x-axis turns it upside down, y-axis swaps left and right."""
    axis, picture_axis = FLIPS[flip_method]
    mirrored = np.flip(samples_of(samples), axis)
    return moved(samples, mirrored, lambda pictures, _: np.flip(pictures, picture_axis))


@family.node(
    "LatentCrop",
    "nodes",
    "latent/transform",
    {"samples": LATENT, "width": integer(512, 64, MAX_SIDE, 8), "height": integer(512, 64, MAX_SIDE, 8), **POINT},
    ("LATENT",),
    title="Crop Latent",
)
def crop(samples: Latent, width: int, height: int, x: int, y: int) -> Latent:
    """A cut-out; its corner is kept 8 cells from the far edges, its size shrinks there."""
    cells = samples_of(samples)
    # A side below 8 cells gives a negative corner, which counts from the far edge as in the original.
    left, top = min(x // PIXELS, cells.shape[3] - 8), min(y // PIXELS, cells.shape[2] - 8)
    rows, columns = slice(top, top + height // PIXELS), slice(left, left + width // PIXELS)
    part = cells[:, :, rows, columns]
    if min(left, top) < 0:
        return moved(samples, part)
    return moved(samples, part, lambda pictures, cell: pictures[:, _scaled(rows, cell), _scaled(columns, cell)])


def _scaled(cut: slice, cell: int) -> slice:
    return slice(cut.start * cell, cut.stop * cell)


@family.node(
    "LatentComposite",
    "nodes",
    "latent",
    {"samples_to": LATENT, "samples_from": LATENT, **POINT, "feather": integer(0, 0, MAX_SIDE, 8)},
    ("LATENT",),
    title="Latent Composite",
)
def composite(samples_to: Latent, samples_from: Latent, x: int, y: int, feather: int) -> Latent:
    """The second pasted into the first; `feather` pixels fall off on the sides that lie inside."""
    below, above = samples_of(samples_to), samples_of(samples_from)
    left, top, steps = x // PIXELS, y // PIXELS, feather // PIXELS
    result = below.copy()
    part = result[:, :, top : top + above.shape[2], left : left + above.shape[3]]
    seen = above[:, :, : below.shape[2] - top, : below.shape[3] - left]
    if steps == 0:
        part[:] = seen
        return moved(samples_to, result)
    down = _falloff(seen.shape[2], steps, top != 0, top + seen.shape[2] < below.shape[2])
    across = _falloff(seen.shape[3], steps, left != 0, left + seen.shape[3] < below.shape[3])
    weight = down[:, np.newaxis] * across
    weight = weight.reshape(weight.shape + (1,) * (seen.ndim - 4))
    part[:] = seen * weight + part * (1 - weight)
    return moved(samples_to, result)


def _falloff(side: int, steps: int, near: bool, far: bool) -> Samples:
    weight = np.ones(side, np.float32)
    for step in range(steps):
        share = np.float32((1.0 / steps) * (step + 1))
        if near:
            weight[step : step + 1] *= share
        if far:
            weight[side - 1 - step : side - step] *= share
    return weight


@family.node(
    "LatentCompositeMasked",
    "comfy_extras.nodes_mask",
    "latent",
    {"destination": LATENT, "source": LATENT, **POINT, "resize_source": boolean(False)},
    ("LATENT",),
    optional={"mask": MASK},
)
def composite_masked(
    destination: Latent, source: Latent, x: int, y: int, resize_source: bool, mask: Mask | None = None
) -> Latent:
    """The source pasted at x, y (pixels) through the mask; what lies outside is cut off."""
    below, above = samples_of(destination), samples_of(source)
    if resize_source:
        if below.ndim > 4:
            raise ValueError("Latents of videos are not resized here. Use LatentUpscale, or switch resize_source off.")
        above = resize(above, below.shape[-1], below.shape[-2], "bilinear")
    return moved(destination, paste(below, above, x, y, mask))


@family.node(
    "LatentBlend",
    "nodes",
    "_for_testing",
    {**PAIR, "blend_factor": number(0.5, 0, 1, 0.01)},
    ("LATENT",),
    title="Latent Blend",
)
def blend(samples1: Latent, samples2: Latent, blend_factor: float) -> Latent:
    """samples1 * factor + samples2 * (1 - factor)."""
    one, two = samples_of(samples1), samples_of(samples2)
    if one.shape != two.shape:
        two = resize(two, one.shape[-1], one.shape[-2], "bicubic", "center")
    factor = np.float32(blend_factor)
    return moved(samples1, one * factor + two * (1 - factor))


@family.node("LatentAdd", MODULE, ADVANCED, PAIR, ("LATENT",), v3=True)
def add(samples1: Latent, samples2: Latent) -> Latent:
    """The sum, the second fitted to the first."""
    one, two = _pair(samples1, samples2)
    return moved(samples1, one + two)


@family.node("LatentSubtract", MODULE, ADVANCED, PAIR, ("LATENT",), v3=True)
def subtract(samples1: Latent, samples2: Latent) -> Latent:
    """The difference, the second fitted to the first."""
    one, two = _pair(samples1, samples2)
    return moved(samples1, one - two)


@family.node(
    "LatentMultiply",
    MODULE,
    ADVANCED,
    {"samples": LATENT, "multiplier": number(1.0, -10.0, 10.0, 0.01)},
    ("LATENT",),
    v3=True,
)
def multiply(samples: Latent, multiplier: float) -> Latent:
    """Every sample times a number."""
    return moved(samples, np.asarray(samples["samples"], np.float32) * np.float32(multiplier))


@family.node(
    "LatentInterpolate",
    MODULE,
    ADVANCED,
    {**PAIR, "ratio": number(1.0, 0.0, 1.0, 0.01)},
    ("LATENT",),
    v3=True,
)
def interpolate(samples1: Latent, samples2: Latent, ratio: float) -> Latent:
    """Lengths and directions of the channel vectors mixed on their own; ratio 1 is the first."""
    one, two = _pair(samples1, samples2)
    if len(one) not in (1, one.shape[1]):
        raise ValueError("LatentInterpolate takes one latent at a time: give it a batch of one.")
    share = np.float32(ratio)
    length_one, length_two = np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mixed = np.nan_to_num(one / length_one) * share + np.nan_to_num(two / length_two) * (1 - share)
        direction = np.nan_to_num(mixed / np.linalg.norm(mixed, axis=1))
    return moved(samples1, direction * (length_one * share + length_two * (1 - share)))


@family.node(
    "LatentConcat",
    MODULE,
    ADVANCED,
    {**PAIR, "dim": choice("x", "-x", "y", "-y", "t", "-t")},
    ("LATENT",),
    v3=True,
)
def concat(samples1: Latent, samples2: Latent, dim: str) -> Latent:
    """Side by side along x, y or t; a minus puts the second first. ValueError when the other sides differ."""
    one = np.asarray(samples1["samples"], np.float32)
    two = fit_batch(np.asarray(samples2["samples"], np.float32), len(one))
    axis = _axis(dim.removeprefix("-"), one)
    parts = (two, one) if dim.startswith("-") else (one, two)
    if one.ndim != two.ndim or np.delete(one.shape, axis).tolist() != np.delete(two.shape, axis).tolist():
        raise ValueError(f"Latents of the shapes {list(one.shape)} and {list(two.shape)} cannot be joined along {dim}.")
    check_room((one.size + two.size,))
    return moved(samples1, np.concatenate(parts, axis))


@family.node(
    "LatentCut",
    MODULE,
    ADVANCED,
    {
        "samples": LATENT,
        "dim": choice("x", "y", "t"),
        "index": integer(0, -MAX_SIDE, MAX_SIDE, 1),
        "amount": integer(1, 1, MAX_SIDE, 1),
    },
    ("LATENT",),
    v3=True,
)
def cut(samples: Latent, dim: str, index: int, amount: int) -> Latent:
    """`amount` cells or frames from an index (negative: from the end), both kept inside the latent."""
    cells = np.asarray(samples["samples"], np.float32)
    axis = _axis(dim, cells)
    side = cells.shape[axis]
    start = min(index, side - 1) if index >= 0 else side + max(index, -side)
    return moved(samples, cells.take(range(start, min(start + amount, side)), axis))


def _axis(dim: str, samples: Samples) -> int:
    axis = AXES.get(dim)
    if axis is None or -axis > samples.ndim:
        raise ValueError(f"This latent has no axis {dim!r}. Use x, y or t.")
    return axis


def _pair(samples1: Latent, samples2: Latent) -> tuple[Samples, Samples]:
    one = samples_of(samples1)
    return one, fit_batch(fitted(samples_of(samples2), one), len(one))
