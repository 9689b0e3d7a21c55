"""Pixel operations (catalogue of the protocol spec: Pixels)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from comfyserve.embedded.nodes.declare import IMAGE, Family, choice, integer, number
from comfyserve.embedded.pixels.arrays import Image, check_batches, match_channels
from comfyserve.embedded.pixels.filters import gaussian_blur, sharpened
from comfyserve.embedded.pixels.resample import upscale

family = Family()

POST = "comfy_extras.nodes_post_processing"


def _overlay(a: Image, b: Image) -> Image:
    return np.where(a <= 0.5, 2 * a * b, 1 - 2 * (1 - a) * (1 - b))


def _soft_light(a: Image, b: Image) -> Image:
    lightened = np.where(a <= 0.25, ((16 * a - 12) * a + 4) * a, np.sqrt(np.maximum(a, 0)))
    return np.where(b <= 0.5, a - (1 - 2 * b) * a * (1 - a), a + (2 * b - 1) * (lightened - a))


BLENDS: dict[str, Callable[[Image, Image], Image]] = {
    "normal": lambda a, b: b,
    "multiply": lambda a, b: a * b,
    "screen": lambda a, b: 1 - (1 - a) * (1 - b),
    "overlay": _overlay,
    "soft_light": _soft_light,
    "difference": lambda a, b: a - b,
}


@family.node("ImageInvert", "nodes", "image", {"image": IMAGE}, ("IMAGE",), title="Invert Image")
def invert(image: Image) -> Image:
    """1 - x on every channel, alpha too."""
    return 1 - image


@family.node(
    "ImageBlend",
    POST,
    "image/postprocessing",
    {
        "image1": IMAGE,
        "image2": IMAGE,
        "blend_factor": number(0.5, 0.0, 1.0, 0.01),
        "blend_mode": choice(*BLENDS),
    },
    ("IMAGE",),
    v3=True,
)
def blend(image1: Image, image2: Image, blend_factor: float, blend_mode: str) -> Image:
    """image1 and its blend with image2 (fitted to its size), mixed by the factor. ValueError for an unknown mode."""
    if blend_mode not in BLENDS:
        raise ValueError(f"The blend mode {blend_mode!r} is not known. Use one of: {', '.join(BLENDS)}.")
    image1, image2 = match_channels(image1, image2)
    if image1.shape[1:3] != image2.shape[1:3]:
        image2 = upscale(image2, image1.shape[2], image1.shape[1], "bicubic", "center")
    check_batches(len(image1), len(image2))
    factor = np.float32(blend_factor)
    return np.clip(image1 * (1 - factor) + BLENDS[blend_mode](image1, image2) * factor, 0, 1)


@family.node(
    "ImageBlur",
    POST,
    "image/postprocessing",
    {"image": IMAGE, "blur_radius": integer(1, 1, 31, 1), "sigma": number(1.0, 0.1, 10.0, 0.1)},
    ("IMAGE",),
    v3=True,
)
def blur(image: Image, blur_radius: int, sigma: float) -> Image:
    """Gaussian blur; sigma is relative to the radius."""
    if blur_radius == 0:
        return image
    return gaussian_blur(image, blur_radius, sigma)


@family.node(
    "ImageSharpen",
    POST,
    "image/postprocessing",
    {
        "image": IMAGE,
        "sharpen_radius": integer(1, 1, 31, 1),
        "sigma": number(1.0, 0.1, 10.0, 0.01),
        "alpha": number(1.0, 0.0, 5.0, 0.01),
    },
    ("IMAGE",),
    v3=True,
)
def sharpen(image: Image, sharpen_radius: int, sigma: float, alpha: float) -> Image:
    """The picture plus 10 alpha times what a blur takes away from it."""
    if sharpen_radius == 0:
        return image
    return sharpened(image, sharpen_radius, sigma, 10 * alpha)
