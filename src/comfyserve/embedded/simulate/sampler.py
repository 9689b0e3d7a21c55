"""The one interface between model nodes and a model, and the simulated model that stands in its place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from .chance import generator
from .latent import Bytes, Floats, Latent, SimulatedLatent, decode, encode, latent_of, to_bytes, to_floats
from .scene import render

Preview = Callable[[int], Image.Image]
OnStep = Callable[[int, Preview], None]


@dataclass(frozen=True)
class Task:
    """What a sampler is asked for. `seed` 0..2^64-1, `steps` >= 1, `denoise` 0..1 (1: nothing of the input is kept)."""

    positive: str
    negative: str
    seed: int
    steps: int
    cfg: float
    denoise: float
    model: str


class Sampler(Protocol):
    """A text-to-image model: pictures float32 [B,H,W,3] on 0..1, latents as ComfyUI's LATENT dictionaries."""

    def encode(self, pictures: Floats) -> SimulatedLatent: ...

    def decode(self, latent: Latent) -> Floats: ...

    def sample(self, task: Task, latent: Latent, on_step: OnStep) -> SimulatedLatent:
        """Work through the steps; after each call `on_step(step, preview)`; `preview(longest side)` makes a picture."""
        ...


class SimulatedSampler:
    """Draws what the prompt names instead of running a network. Same task, same bytes, on every machine."""

    def encode(self, pictures: Floats) -> SimulatedLatent:
        return encode(pictures)

    def decode(self, latent: Latent) -> Floats:
        return to_floats(decode(latent))

    def sample(self, task: Task, latent: Latent, on_step: OnStep) -> SimulatedLatent:
        start = decode(latent)
        if task.denoise <= 0:
            return latent_of(start)
        final = np.stack(
            [_result(task, picture, index) for picture, index in zip(start, _indices(latent, start), strict=True)]
        )
        final = _keep_outside_mask(latent, start, final)
        noisy = _noise(task, start[0])
        for step in range(1, task.steps + 1):
            on_step(step, _preview(noisy, final[0], step / task.steps))
        return latent_of(final)


def _indices(latent: Latent, start: Bytes) -> list[int]:
    given = latent.get("batch_index")
    return (
        [int(index) for index in given] if given is not None and len(given) == len(start) else list(range(len(start)))
    )


def _result(task: Task, start: Bytes, index: int) -> Bytes:
    height, width = start.shape[:2]
    drawn = render(task.positive, task.negative, f"{task.seed}/{index}", task.model, width, height)
    toned = _tone(drawn, task, index)
    if task.denoise >= 1:
        return to_bytes(toned)
    # Slower than linear, so that a light denoise keeps the picture it was given; x * sqrt(x) is exact everywhere.
    share = np.float32(task.denoise * task.denoise**0.5)
    return to_bytes(to_floats(start) * (1 - share) + toned * share)


def _tone(picture: Floats, task: Task, index: int) -> Floats:
    """Guidance raises contrast and few steps leave grain, both a little, as with a real model."""
    contrast = np.float32(1 + 0.012 * (min(task.cfg, 20.0) - 7.0))
    toned = (picture - np.float32(0.5)) * contrast + np.float32(0.5)
    strength = np.float32(0.004 + 0.05 / (task.steps + 1))
    chance = generator("grain", task.seed, index, task.steps)
    grain = chance.random(picture.shape[:2], dtype=np.float32) - np.float32(0.5)
    return np.asarray(toned + (grain * strength)[..., None], dtype=np.float32)


def _keep_outside_mask(latent: Latent, start: Bytes, final: Bytes) -> Bytes:
    """Inpainting: only where `noise_mask` is 1 may the picture change."""
    mask = latent.get("noise_mask")
    if mask is None:
        return final
    height, width = final.shape[1:3]
    grids = to_bytes(np.asarray(mask, dtype=np.float32).reshape(-1, *np.shape(mask)[-2:]))
    sized = [np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BILINEAR)) for grid in grids]
    share = to_floats(np.stack([sized[min(i, len(sized) - 1)] for i in range(len(final))]))[..., None]
    return to_bytes(to_floats(final) * share + to_floats(start) * (1 - share))


def _noise(task: Task, start: Bytes) -> Bytes:
    """Where the walk begins: coarse coloured noise over what the input leaves of itself."""
    height, width = start.shape[:2]
    cells = generator("noise", task.seed).integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3), dtype=np.uint8)
    noise = to_floats(np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)))
    share = np.float32(task.denoise)
    return to_bytes(noise * share + to_floats(start) * (1 - share))


def _preview(noisy: Bytes, final: Bytes, done: float) -> Preview:
    def make(longest: int) -> Image.Image:
        height, width = final.shape[:2]
        scale = min(1.0, longest / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        first, last = (Image.fromarray(one).resize(size, Image.Resampling.BOX) for one in (noisy, final))
        return Image.blend(first, last, done * (2 - done))

    return make
