"""Fewer colours, noise, colour spaces, morphology, edges (catalogue of the protocol spec: Pixels)."""

from __future__ import annotations

from math import prod

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.declare import IMAGE, Family, choice, integer, number
from comfyserve.embedded.pixels.arrays import Image, check_room
from comfyserve.embedded.pixels.bands import each_band
from comfyserve.embedded.pixels.edges import canny
from comfyserve.embedded.pixels.filters import MORPHOLOGY
from comfyserve.embedded.pixels.noise import normal_noise
from comfyserve.embedded.pixels.palette import DITHERS, quantize

family = Family()

KORNIA = "comfy_extras.nodes_morphology"
LUMA = (0.299, 0.587, 0.114)
RED_SCALE, BLUE_SCALE = 0.713, 0.564
# The exact inverse, as kornia has it since 0.9.
RED_BACK, BLUE_BACK = 1 / RED_SCALE, 1 / BLUE_SCALE
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
    """At most so many colours per picture. ValueError for a picture with alpha."""
    _check_rgb(image)
    context = current()
    quantized = []
    for picture in image:
        context.check_interrupted()
        quantized.append(quantize(picture, colors, dither))
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
    noise = normal_noise(image.shape, seed)
    rows, noisy = image.reshape(-1, *image.shape[2:]), noise.reshape(-1, *image.shape[2:])

    def lay(band: slice) -> None:
        part = noisy[band]
        part *= np.float32(strength)
        part += rows[band]
        np.clip(part, 0, 1, out=part)

    each_band(len(rows), prod(image.shape[2:]), lay)
    return noise


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
    _check_rgb(image)
    red, _, blue = (image[..., channel] for channel in range(3))
    luma = image @ np.array(LUMA, np.float32)
    return _gray(luma), _gray((blue - luma) * BLUE_SCALE + 0.5), _gray((red - luma) * RED_SCALE + 0.5)


@family.node("ImageYUVToRGB", KORNIA, "image/batch", {"Y": IMAGE, "U": IMAGE, "V": IMAGE}, ("IMAGE",), v3=True)
def yuv_to_rgb(Y: Image, U: Image, V: Image) -> Image:  # noqa: N803 - the published input names
    """The picture of three gray ones, clamped."""
    check_room((*Y.shape[:3], 3))
    luma, u, v = _channel_mean(Y), _channel_mean(U) - np.float32(0.5), _channel_mean(V) - np.float32(0.5)
    green = luma - v * (RED_BACK * LUMA[0] / LUMA[1]) - u * (BLUE_BACK * LUMA[2] / LUMA[1])
    picture = np.empty((*luma.shape, 3), np.float32)
    for channel, samples in enumerate((luma + v * RED_BACK, green, luma + u * BLUE_BACK)):
        picture[..., channel] = np.clip(samples, 0, 1)
    return picture


def _channel_mean(image: Image) -> Image:
    """[B,H,W] of [B,H,W,C]: channel after channel, for NumPy's own mean is slow along so short an axis."""
    total: Image = image[..., 0].copy()
    for channel in range(1, image.shape[-1]):
        total += image[..., channel]
    total /= np.float32(image.shape[-1])
    return total


def _check_rgb(image: Image) -> None:
    if image.shape[3] != 3:
        raise ValueError(
            f"This node needs 3 channels, the picture has {image.shape[3]}. Use SplitImageWithAlpha first."
        )


def _gray(samples: Image) -> Image:
    return np.broadcast_to(samples[..., np.newaxis], check_room((*samples.shape, 3)))


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
    """White edges on black. ValueError for alpha, a side below 3, or a low threshold above the high one."""
    if image.shape[3] not in (1, 3):
        raise ValueError("Edges need a picture without alpha. Use SplitImageWithAlpha first.")
    if min(image.shape[1:3]) < 3:
        raise ValueError("Edges need a picture of at least 3 x 3 pixels.")
    if low_threshold > high_threshold:
        raise ValueError(f"low_threshold {low_threshold} is above high_threshold {high_threshold}. Lower it.")
    context = current()
    edges = []
    for picture in image:
        context.check_interrupted()
        edges.append(canny(picture, low_threshold, high_threshold))
    return _gray(np.stack(edges))
