"""Operations on latents as values: a node makes one, another applies it (object_info: LATENT_OPERATION)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from comfyserve.embedded.nodes.declare import LATENT, Family, integer, number
from comfyserve.embedded.pixels.filters import gaussian_blur
from comfyserve.embedded.pixels.latents import Latent, Samples, moved, samples_of

family = Family()

MODULE = "comfy_extras.nodes_latent"
CATEGORY = "latent/advanced/operations"
Operation = Callable[[Samples], Samples]


@family.node(
    "LatentApplyOperation",
    MODULE,
    "latent/advanced/operations",
    {"samples": LATENT, "operation": ("LATENT_OPERATION", {})},
    ("LATENT",),
    v3=True,
    experimental=True,
)
def apply(samples: Latent, operation: Operation) -> Latent:
    """The latent after the operation."""
    return moved(samples, operation(samples_of(samples)))


@family.node(
    "LatentOperationTonemapReinhard",
    MODULE,
    CATEGORY,
    {"multiplier": number(1.0, 0.0, 100.0, 0.01)},
    ("LATENT_OPERATION",),
    v3=True,
    experimental=True,
)
def tonemap(multiplier: float) -> Operation:
    """Long channel vectors shortened: l / (l + 1), l in units of multiplier * (mean + 5 deviations)."""

    def shortened(samples: Samples) -> Samples:
        length = np.linalg.norm(samples, axis=1, keepdims=True) + np.float32(1e-10)
        axes = (1, 2, 3)
        mean, deviation = length.mean(axes, keepdims=True), length.std(axes, ddof=1, keepdims=True)
        top = (deviation * 5 + mean) * np.float32(multiplier)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = length / top
            shorter: Samples = samples / length * (relative / (relative + 1)) * top
        return shorter.astype(np.float32)

    return shortened


@family.node(
    "LatentOperationSharpen",
    MODULE,
    CATEGORY,
    {
        "sharpen_radius": integer(9, 1, 31, 1),
        "sigma": number(1.0, 0.1, 10.0, 0.1),
        "alpha": number(0.1, 0.0, 5.0, 0.01),
    },
    ("LATENT_OPERATION",),
    v3=True,
    experimental=True,
)
def sharpen(sharpen_radius: int, sigma: float, alpha: float) -> Operation:
    """The directions of the channel vectors sharpened as ImageSharpen does; the lengths stay."""

    def sharpened(samples: Samples) -> Samples:
        if samples.ndim != 4:
            raise ValueError("This operation takes latents of pictures, not of videos.")
        length = np.linalg.norm(samples, axis=1, keepdims=True) + np.float32(1e-6)
        direction = np.moveaxis(samples / length, 1, -1)
        detail = direction - gaussian_blur(direction, sharpen_radius, sigma)
        turned: Samples = length * np.moveaxis(direction + 10 * alpha * detail, -1, 1)
        return turned.astype(np.float32)

    return sharpened
