"""Between pictures and latents, and the upscale models."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.nodes.models.text import with_option
from comfyserve.embedded.simulate import SAMPLER, grid, wish
from comfyserve.embedded.simulate.grid import Grid
from comfyserve.embedded.simulate.latent import Floats, check_size, rounded_bytes, to_floats
from comfyserve.embedded.simulate.model import Conditioning, Latent, Model

PIXEL_SPACE = "pixel_space"


def grid_for(vae: Model) -> Grid:
    """The latents that a VAE makes."""
    return grid.PIXEL if vae.name == PIXEL_SPACE else vae.family.grid


@simulates("VAEDecode", "VAEDecodeTiled")
def decode(
    samples: Latent,
    vae: Model,
    tile_size: int = 0,
    overlap: int = 0,
    temporal_size: int = 0,
    temporal_overlap: int = 0,
) -> Floats:
    """Pictures [N,H,W,3]; the frames of clips one after the other. Tiles change nothing."""
    return SAMPLER.decode(samples)


@simulates("VAEEncode", "VAEEncodeTiled")
def encode(
    pixels: Floats,
    vae: Model,
    tile_size: int = 0,
    overlap: int = 0,
    temporal_size: int = 0,
    temporal_overlap: int = 0,
) -> Latent:
    """The latent of the pictures, cut to whole cells; for the VAE of a video model they are one clip."""
    return SAMPLER.encode(pixels, grid_for(vae))


@simulates("VAEEncodeForInpaint")
def encode_for_inpaint(pixels: Floats, vae: Model, mask: Floats, grow_mask_by: int = 6) -> Latent:
    """The pictures with gray where the mask is set, and the mask, grown, as the place that may change."""
    from scipy.ndimage import maximum_filter  # type: ignore[import-untyped] # no stubs; slow to import

    flat = fitted_mask(mask, pixels)
    grown = maximum_filter(flat, size=(1, grow_mask_by or 1, grow_mask_by or 1))
    return {**encode(hollow(pixels, flat), vae), "noise_mask": np.round(grown)[:, None]}


@simulates("InpaintModelConditioning")
def inpaint_conditioning(
    positive: Conditioning, negative: Conditioning, vae: Model, pixels: Floats, mask: Floats, noise_mask: bool = True
) -> tuple[Conditioning, Conditioning, Latent]:
    """The pictures as start, and outside the mask as what must stay."""
    flat = fitted_mask(mask, pixels)
    latent = dict(encode(pixels, vae))
    if noise_mask:
        latent["noise_mask"] = flat[:, None]
    kept = (rounded_bytes(np.ascontiguousarray(pixels[..., :3])), flat)
    first, second = (with_option(one, wish.INPAINT, None) for one in (positive, negative))
    for entry in (*first, *second):
        entry[1][wish.INPAINT] = kept
    return first, second, latent


@simulates("ImageUpscaleWithModel")
def upscale(upscale_model: Model, image: Floats) -> Floats:
    """Larger by the model's factor, with crisper edges: what a plain resampling gives, sharpened."""
    factor = factor_of(upscale_model.name)
    count, height, width = image.shape[:3]
    check_size(count, height * factor, width * factor)
    result = np.empty((count, height * factor, width * factor, 3), np.float32)
    for index, picture in enumerate(image):
        current().progress(index, count)
        result[index] = to_floats(_crisp(rounded_bytes(picture[..., :3]), width * factor, height * factor))
    current().progress(count, count)
    return result


def factor_of(name: str) -> int:
    """The factor that an upscale model's file name says, 4 if none."""
    found = re.search(r"(?:^|[^a-z0-9])(?:x([1-8])|([1-8])x)(?![0-9])", name.lower())
    return int(found[1] or found[2]) if found else 4


def fitted_mask(mask: Floats, pixels: Floats) -> Floats:
    """The mask [M,H,W] at the size of the pictures, bilinear."""
    flat = np.asarray(mask, np.float32).reshape(-1, *np.shape(mask)[-2:])
    height, width = pixels.shape[1:3]
    if flat.shape[1:] == (height, width):
        return flat
    sized = (Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR) for one in flat)
    return np.stack([np.asarray(one, np.float32) for one in sized])


def hollow(pixels: Floats, mask: Floats) -> Floats:
    """The pictures with gray where the mask [M,H,W] is set."""
    hole = np.round(mask)[..., None]
    return np.asarray((pixels[..., :3] - 0.5) * (1 - hole) + 0.5, np.float32)


def _crisp(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    from PIL import ImageFilter

    large = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(large.filter(ImageFilter.UnsharpMask(radius=2, percent=60, threshold=2)), np.uint8)
