"""Empty latents of every family, and what changes a latent without a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.simulate import grid
from comfyserve.embedded.simulate.grid import Grid
from comfyserve.embedded.simulate.latent import GRID, Floats, check_size, empty
from comfyserve.embedded.simulate.model import Latent, Model
from comfyserve.embedded.simulate.sound import seconds_of

AUDIO_RATE, AUDIO_CELL = 44100, 2048


@simulates("EmptyLatentImage")
def empty_picture(width: int, height: int, batch_size: int = 1) -> Latent:
    """Zeros [B,4,H//8,W//8]."""
    return empty(grid.SD, width, height, batch_size)


@simulates("EmptySD3LatentImage")
def empty_sd3(width: int, height: int, batch_size: int = 1) -> Latent:
    """Zeros [B,16,H//8,W//8]."""
    return empty(grid.SD3, width, height, batch_size)


@simulates("EmptyChromaRadianceLatentImage")
def empty_pixels(width: int, height: int, batch_size: int = 1) -> Latent:
    """Zeros [B,3,H,W]: this family works on pixels."""
    return empty(grid.PIXEL, width, height, batch_size)


@simulates("EmptyHunyuanImageLatent")
def empty_hunyuan_image(width: int, height: int, batch_size: int = 1) -> Latent:
    """Zeros [B,64,H//32,W//32]."""
    return empty(grid.HUNYUAN_IMAGE, width, height, batch_size)


def _clips(name: str, cells: Grid) -> None:
    @simulates(name)
    def empty_clip(width: int, height: int, length: int, batch_size: int = 1) -> Latent:
        """Zeros [B,C,(L-1)//stride+1,H//cell,W//cell] of this family."""
        return empty(cells, width, height, batch_size, length)


_clips("EmptyHunyuanLatentVideo", grid.VIDEO)
_clips("EmptyLTXVLatentVideo", grid.LTXV)
_clips("EmptyMochiLatentVideo", grid.MOCHI)
_clips("EmptyCosmosLatentVideo", grid.COSMOS)


@simulates("StableCascade_EmptyLatentImage")
def empty_cascade(width: int, height: int, compression: int, batch_size: int = 1) -> tuple[Latent, Latent]:
    """Zeros for stage C (one place per `compression` pixels) and for stage B (per 4)."""
    check_size(batch_size, height, width)
    small = np.zeros((batch_size, 16, height // compression, width // compression), np.float32)
    return {"samples": small, GRID: Grid(compression, 16)}, empty(grid.CASCADE_B, width, height, batch_size)


@simulates("EmptyLatentAudio")
def empty_audio(seconds: float, batch_size: int) -> Latent:
    """Zeros [B,64,T], an even number of places of 2048 samples at 44100 Hz."""
    places = round(seconds * AUDIO_RATE / AUDIO_CELL / 2) * 2
    return _silence((batch_size, 64, places))


@simulates("EmptyAceStepLatentAudio")
def empty_song(seconds: float, batch_size: int) -> Latent:
    """Zeros [B,8,16,T], a place per 4096 samples at 44100 Hz."""
    places = int(seconds * AUDIO_RATE / 512 / 8)
    return _silence((batch_size, 8, 16, places))


@simulates("SetLatentNoiseMask")
def set_noise_mask(samples: Latent, mask: Floats) -> Latent:
    """Only where the mask is set will the sampler change the picture."""
    return {**samples, "noise_mask": np.asarray(mask).reshape(-1, 1, *np.shape(mask)[-2:])}


@simulates("TrimVideoLatent")
def trim(samples: Latent, trim_amount: int) -> Latent:
    """Without the first places of time."""
    return {**samples, "samples": np.ascontiguousarray(np.asarray(samples["samples"])[:, :, trim_amount:])}


@simulates("LatentApplyOperationCFG")
def apply_operation_while_sampling(model: Model, operation: Any) -> Model:
    """Joins the model's patches."""
    return model.add("patch", "LatentApplyOperationCFG")


def _silence(shape: tuple[int, ...]) -> Latent:
    seconds_of(shape)  # refuses what is too long, before it takes memory
    return {"samples": np.zeros(shape, np.float32), "type": "audio"}
