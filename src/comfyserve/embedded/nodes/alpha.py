"""Alpha channels and Porter-Duff compositing (catalogue of the protocol spec: Masks and alpha)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from comfyserve.embedded.nodes.declare import IMAGE, MASK, Family, choice
from comfyserve.embedded.pixels.arrays import Image, Mask, as_masks, check_room
from comfyserve.embedded.pixels.resample import upscale, upscale_mask

family = Family()

MODULE = "comfy_extras.nodes_compositing"
CATEGORY = "mask/compositing"
OPAQUE_ENOUGH = 1e-5

Formula = Callable[[Image, Image, Image, Image], tuple[Image, Image]]


def _union(a: Image, b: Image) -> Image:
    return a + b - a * b


def _overlay(s: Image, sa: Image, d: Image, da: Image) -> Image:
    return np.where(2 * d < da, 2 * s * d, sa * da - 2 * (da - s) * (sa - d))


# source and destination (premultiplied) with their alphas -> picture (premultiplied) and alpha
MODES: dict[str, Formula] = {
    "ADD": lambda s, sa, d, da: (np.clip(s + d, 0, 1), np.clip(sa + da, 0, 1)),
    "CLEAR": lambda s, sa, d, da: (np.zeros_like(d), np.zeros_like(da)),
    "DARKEN": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d + np.minimum(s, d), _union(sa, da)),
    "DST": lambda s, sa, d, da: (d, da),
    "DST_ATOP": lambda s, sa, d, da: (sa * d + (1 - da) * s, sa),
    "DST_IN": lambda s, sa, d, da: (d * sa, sa * da),
    "DST_OUT": lambda s, sa, d, da: ((1 - sa) * d, (1 - sa) * da),
    "DST_OVER": lambda s, sa, d, da: (d + (1 - da) * s, da + (1 - da) * sa),
    "LIGHTEN": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d + np.maximum(s, d), _union(sa, da)),
    "MULTIPLY": lambda s, sa, d, da: (s * d, sa * da),
    "OVERLAY": lambda s, sa, d, da: (_overlay(s, sa, d, da), _union(sa, da)),
    "SCREEN": lambda s, sa, d, da: (_union(s, d), _union(sa, da)),
    "SRC": lambda s, sa, d, da: (s, sa),
    "SRC_ATOP": lambda s, sa, d, da: (da * s + (1 - sa) * d, da),
    "SRC_IN": lambda s, sa, d, da: (s * da, sa * da),
    "SRC_OUT": lambda s, sa, d, da: ((1 - da) * s, (1 - da) * sa),
    "SRC_OVER": lambda s, sa, d, da: (s + (1 - sa) * d, sa + (1 - sa) * da),
    "XOR": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d, (1 - da) * sa + (1 - sa) * da),
}


@family.node(
    "PorterDuffImageComposite",
    MODULE,
    CATEGORY,
    {
        "source": IMAGE,
        "source_alpha": MASK,
        "destination": IMAGE,
        "destination_alpha": MASK,
        "mode": choice(*MODES, default="DST"),
    },
    ("IMAGE", "MASK"),
    title="Porter-Duff Image Composite",
    v3=True,
)
def porter_duff(
    source: Image, source_alpha: Mask, destination: Image, destination_alpha: Mask, mode: str
) -> tuple[Image, Mask]:
    """One of 18 modes. Alphas come and go as masks (1 - alpha); the destination gives the size."""
    if mode not in MODES:
        raise ValueError(f"The mode {mode!r} is not known. Use one of: {', '.join(MODES)}.")
    if source.shape[3] != destination.shape[3]:
        raise ValueError("The source and the destination need the same number of channels.")
    batch = min(len(source), len(as_masks(source_alpha)), len(destination), len(as_masks(destination_alpha)))
    height, width = destination.shape[1:3]
    s = upscale(source[:batch], width, height, "bicubic", "center")
    sa = _alpha(source_alpha, batch, width, height)
    d, da = destination[:batch], _alpha(destination_alpha, batch, width, height)
    picture, alpha = MODES[mode](s * sa, sa, d * da, da)
    visible = np.where(alpha > OPAQUE_ENOUGH, picture / np.maximum(alpha, np.float32(OPAQUE_ENOUGH)), 0)
    return np.clip(visible, 0, 1).astype(np.float32), 1 - alpha[..., 0]


def _alpha(mask: Mask, batch: int, width: int, height: int) -> Image:
    resized = upscale_mask(as_masks(mask)[:batch], width, height, "bicubic", "center")
    return 1 - resized[..., np.newaxis]


@family.node(
    "SplitImageWithAlpha",
    MODULE,
    CATEGORY,
    {"image": IMAGE},
    ("IMAGE", "MASK"),
    title="Split Image with Alpha",
    v3=True,
)
def split_alpha(image: Image) -> tuple[Image, Mask]:
    """The first three channels, and 1 - the fourth (0 without one)."""
    if image.shape[3] < 4:
        return image[..., :3], np.zeros(image.shape[:3], np.float32)
    return image[..., :3], 1 - image[..., 3]


@family.node(
    "JoinImageWithAlpha",
    MODULE,
    CATEGORY,
    {"image": IMAGE, "alpha": MASK},
    ("IMAGE",),
    title="Join Image with Alpha",
    v3=True,
)
def join_alpha(image: Image, alpha: Mask) -> Image:
    """The first three channels with 1 - mask (resized to the picture) as the fourth; the shorter batch counts."""
    if alpha.ndim == 2 and len(image) > 1:
        raise ValueError("One mask without a batch axis fits one picture only. Give as many masks as pictures.")
    masks = as_masks(alpha)
    batch = min(len(image), len(masks))
    check_room((batch, *image.shape[1:3], 4))
    resized = upscale_mask(masks[:batch], image.shape[2], image.shape[1], "bilinear")
    return np.concatenate([image[:batch, ..., :3], 1 - resized[..., np.newaxis]], axis=-1)
