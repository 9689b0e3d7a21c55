"""Fewer colours, noise, colour spaces, morphology, edges (catalogue of the protocol spec: Pixels)."""

from __future__ import annotations

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.declare import IMAGE, Family, choice, integer, number
from comfyserve.embedded.pixels.arrays import Image
from comfyserve.embedded.pixels.edges import canny
from comfyserve.embedded.pixels.filters import MORPHOLOGY
from comfyserve.embedded.pixels.noise import normal_noise
from comfyserve.embedded.pixels.palette import DITHERS, quantize

family = Family()

KORNIA = "comfy_extras.nodes_morphology"
THRESHOLD = (0.01, 0.99, 0.01)


@family.node(
    "ImageQuantize",
    "comfy_extras.nodes_post_processing",
    "image/postprocessing",
    {"image": IMAGE, "colors": integer(256, 1, 256, 1), "dither": choice(*DITHERS)},
    ("IMAGE",),
    v3=True,
)
def reduce_colors(image: Image, colors: int, dither: str) -> Image:
    """At most so many colours per picture; alpha is dropped."""
    context = current()
    quantized = []
    for picture in image:
        context.check_interrupted()
        quantized.append(quantize(picture[..., :3], colors, dither))
    return np.stack(quantized)


@family.node(
    "ImageAddNoise",
    "comfy_extras.nodes_images",
    "image",
    {
        "image": IMAGE,
        "seed": integer(0, 0, 2**64 - 1, control_after_generate=True),
        "strength": number(0.5, 0.0, 1.0, 0.01),
    },
    ("IMAGE",),
)
def add_noise(image: Image, seed: int, strength: float) -> Image:
    """Normal noise of that strength on every sample, clamped."""
    return np.clip(image + np.float32(strength) * normal_noise(image.shape, seed), 0, 1)


@family.node(
    "ImageRGBToYUV",
    KORNIA,
    "image/batch",
    {"image": IMAGE},
    ("IMAGE", "IMAGE", "IMAGE"),
    names=("Y", "U", "V"),
    v3=True,
)
def rgb_to_yuv(image: Image) -> tuple[Image, Image, Image]:
    """Y, U and V as gray pictures."""
    red, _, blue = (image[..., channel] for channel in range(3))
    luma = image[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    return _gray(luma), _gray((blue - luma) * 0.564 + 0.5), _gray((red - luma) * 0.713 + 0.5)


@family.node("ImageYUVToRGB", KORNIA, "image/batch", {"Y": IMAGE, "U": IMAGE, "V": IMAGE}, ("IMAGE",), v3=True)
def yuv_to_rgb(Y: Image, U: Image, V: Image) -> Image:  # noqa: N803 - the published input names
    """The picture of three gray ones, clamped."""
    luma, u, v = Y.mean(axis=-1), U.mean(axis=-1) - 0.5, V.mean(axis=-1) - 0.5
    rgb = np.stack([luma + 1.403 * v, luma - 0.714 * v - 0.344 * u, luma + 1.773 * u], axis=-1)
    clamped: Image = np.clip(rgb, 0, 1).astype(np.float32)
    return clamped


def _gray(samples: Image) -> Image:
    return np.repeat(samples[..., np.newaxis], 3, axis=-1)


@family.node(
    "Morphology",
    KORNIA,
    "image/postprocessing",
    {"image": IMAGE, "operation": choice(*MORPHOLOGY), "kernel_size": integer(3, 3, 999, 1)},
    ("IMAGE",),
    title="ImageMorphology",
    v3=True,
)
def morph(image: Image, operation: str, kernel_size: int) -> Image:
    """Erosion, dilation and what is built of them, with a flat square kernel. ValueError for an unknown operation."""
    if operation not in MORPHOLOGY:
        raise ValueError(f"The operation {operation!r} is not known. Use one of: {', '.join(MORPHOLOGY)}.")
    return MORPHOLOGY[operation](image, kernel_size)


@family.node(
    "Canny",
    "comfy_extras.nodes_canny",
    "image/preprocessors",
    {"image": IMAGE, "low_threshold": number(0.4, *THRESHOLD), "high_threshold": number(0.8, *THRESHOLD)},
    ("IMAGE",),
    v3=True,
)
def find_edges(image: Image, low_threshold: float, high_threshold: float) -> Image:
    """White edges on black."""
    context = current()
    edges = []
    for picture in image:
        context.check_interrupted()
        edges.append(canny(picture, low_threshold, high_threshold))
    return _gray(np.stack(edges))
