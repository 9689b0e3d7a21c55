"""Operations on latents: samples float32 [B,C,h,w] or video [B,C,T,h,w], with what a latent carries beside them.

A latent of the simulated model carries the pictures that its cells stand for. They follow what moves whole
cells; after others the model finds its way back from the cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.pixels.arrays import check_room, fit_batch
from comfyserve.embedded.pixels.resample import crop_to_aspect, upscale
from comfyserve.embedded.simulate.latent import CARRIED, carried_by, grid_by

Samples = npt.NDArray[np.float32]
Latent = Mapping[str, Any]
Move = Callable[[Any, int], Any]
"""What happens to [N,H,W,C], where one cell is so many samples wide."""

METHODS: Final = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
PIXELS: Final = 8
"""Positions and sizes of these nodes are pixels of a model whose cells are 8 wide, whatever the latent is."""
ALIKE: Final = 1e-5


def samples_of(latent: Latent) -> Samples:
    """The samples of a latent. ValueError for an axis too few to be pictures."""
    samples = np.asarray(latent["samples"], np.float32)
    if samples.ndim < 4:
        raise ValueError(f"This node needs a latent of pictures; this one has the shape {list(samples.shape)}.")
    return samples


def moved(latent: Latent, samples: Samples, move: Move | None = None) -> Latent:
    """The latent with other samples; `move` does to the carried pictures what was done to the cells."""
    carried = carried_by(latent)
    changed = {**latent, "samples": samples}
    if carried is None or move is None or carried.clean is not None or samples.ndim != 4:
        return changed
    cells = np.moveaxis(move(np.moveaxis(carried.samples, 1, -1), 1), -1, 1)
    pictures = move(carried.pictures, grid_by(latent).cell)
    return changed | {CARRIED: replace(carried, pictures=pictures, samples=cells)}


def carried_by_all(latents: Sequence[Latent]) -> dict[str, Any]:
    """What a latent made of all of them carries: all pictures if they have one size, else those of the first."""
    carried = [found for latent in latents if (found := carried_by(latent)) is not None]
    if not carried:
        return {}
    first = carried[0]
    like = [one for one in carried if one.clean is None and one.samples.shape[1:] == first.samples.shape[1:]]
    if first.clean is not None or len(like) < 2:
        return {CARRIED: first}
    pictures, samples = np.concatenate([one.pictures for one in like]), np.concatenate([one.samples for one in like])
    return {CARRIED: replace(first, pictures=pictures, samples=samples)}


def resize(samples: Samples, width: int, height: int, method: str, crop: str = "disabled") -> Samples:
    """Every plane at width x height cells; crop "center" first cuts to the new aspect ratio. ValueError as upscale."""
    old = samples.shape
    check_room((*old[:-2], height, width))
    planes = np.moveaxis(samples, 1, -1).reshape(-1, *old[-2:], old[1])
    if method == "bislerp":
        planes = crop_to_aspect(planes, width, height) if crop == "center" else planes
        resized = bislerp(planes, width, height)
    else:
        resized = upscale(planes, width, height, method, crop)
    frames = resized.reshape(old[0], *old[2:-2], height, width, old[1])
    return np.ascontiguousarray(np.moveaxis(frames, -1, 1))


def fitted(samples: Samples, like: Samples) -> Samples:
    """At the size of another latent, centre cut, if any axis but the batch differs."""
    if samples.shape[1:] == like.shape[1:]:
        return samples
    return resize(samples, like.shape[-1], like.shape[-2], "bilinear", "center")


def batch_of(latents: Sequence[Latent]) -> Latent:
    """One batch at the size of the first; batch_index says where each came from."""
    first = samples_of(latents[0])
    parts = [fitted(samples_of(latent), first) for latent in latents]
    check_room((sum(len(part) for part in parts), *first.shape[1:]))
    numbers = [number for latent in latents for number in latent.get("batch_index", range(len(latent["samples"])))]
    batch = {"samples": np.concatenate(parts), "batch_index": numbers}
    return {**latents[0], **carried_by_all(latents), **batch}


def paste(destination: Samples, source: Samples, x: int, y: int, mask: Samples | None) -> Samples:
    """mask * source + (1 - mask) * destination where the source lies over it; x and y in pixels, mask [B,H,W]."""
    height, width = destination.shape[-2:]
    left, top = min(x, width * PIXELS) // PIXELS, min(y, height * PIXELS) // PIXELS
    result = destination.copy()
    part = result[..., top : top + source.shape[-2], left : left + source.shape[-1]]
    seen = fit_batch(source, len(destination))[..., : part.shape[-2], : part.shape[-1]]
    if mask is None:
        part[:] = seen
        return result
    weight = upscale(mask.reshape(-1, *mask.shape[-2:], 1), source.shape[-1], source.shape[-2], "bilinear")
    weight = fit_batch(np.moveaxis(weight, -1, 1), len(destination))[..., : part.shape[-2], : part.shape[-1]]
    weight = weight.reshape(weight.shape[0], *(1,) * (source.ndim - 3), *weight.shape[-2:])
    part[:] = weight * seen + (1 - weight) * part
    return result


def bislerp(planes: Samples, width: int, height: int) -> Samples:
    """[N,H,W,C] at width x height: between neighbours the direction turns on a sphere, the length runs straight."""
    return _turned(_turned(planes, 2, width), 1, height)


def _turned(planes: Samples, axis: int, target: int) -> Samples:
    source = planes.shape[axis]
    line = np.arange(source, dtype=np.float32)
    position = _linear(line, target)
    following = _linear(np.minimum(line + 1, source - 1), target).astype(np.intp)
    ratio = position - np.floor(position)
    shape = [1] * planes.ndim
    shape[axis] = target
    return _slerp(
        planes.take(position.astype(np.intp), axis), planes.take(following, axis), ratio.reshape(shape)
    ).astype(np.float32)


def _linear(line: Samples, target: int) -> Samples:
    return upscale(line.reshape(1, 1, -1, 1), target, 1, "bilinear").reshape(-1)


def _slerp(one: Samples, two: Samples, ratio: Samples) -> Samples:
    length_one, length_two = (np.linalg.norm(part, axis=-1, keepdims=True) for part in (one, two))
    with np.errstate(divide="ignore", invalid="ignore"):
        unit_one = np.where(length_one == 0, 0, one / length_one)
        unit_two = np.where(length_two == 0, 0, two / length_two)
        cosine = (unit_one * unit_two).sum(-1, keepdims=True)
        angle = np.arccos(cosine)
        turned = (np.sin((1 - ratio) * angle) * unit_one + np.sin(ratio * angle) * unit_two) / np.sin(angle)
        turned *= length_one * (1 - ratio) + length_two * ratio
    turned = np.where(cosine > 1 - ALIKE, one, turned)
    return np.where(cosine < ALIKE - 1, one * (1 - ratio) + two * ratio, turned)
