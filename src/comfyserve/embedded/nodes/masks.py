"""Masks and pasting through them (catalogue of the protocol spec: Masks and alpha)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.declare import IMAGE, MASK, MAX_SIDE, Family, boolean, choice, integer, number
from comfyserve.embedded.pixels.arrays import Image, Mask, as_masks, check_room, fit_batch, match_channels
from comfyserve.embedded.pixels.filters import grow
from comfyserve.embedded.pixels.resample import upscale, upscale_mask

family = Family()

MODULE = "comfy_extras.nodes_mask"
CHANNELS = ("red", "green", "blue", "alpha")
POINT = {"x": integer(0, 0, MAX_SIDE, 1), "y": integer(0, 0, MAX_SIDE, 1)}
AREA = {"width": integer(512, 1, MAX_SIDE, 1), "height": integer(512, 1, MAX_SIDE, 1)}


def _both(combine: Callable[[Mask, Mask], Mask]) -> Callable[[Mask, Mask], Mask]:
    return lambda a, b: combine(np.round(a) != 0, np.round(b) != 0).astype(np.float32)


OPERATIONS: dict[str, Callable[[Mask, Mask], Mask]] = {
    "multiply": np.multiply,
    "add": np.add,
    "subtract": np.subtract,
    "and": _both(np.logical_and),
    "or": _both(np.logical_or),
    "xor": _both(np.logical_xor),
}


@family.node("MaskToImage", MODULE, "mask", {"mask": MASK}, ("IMAGE",), title="Convert Mask to Image")
def mask_to_image(mask: Mask) -> Image:
    """The mask as a gray picture."""
    masks = as_masks(mask)
    return np.broadcast_to(masks[..., np.newaxis], check_room((*masks.shape, 3)))


@family.node(
    "ImageToMask",
    MODULE,
    "mask",
    {"image": IMAGE, "channel": choice(*CHANNELS)},
    ("MASK",),
    title="Convert Image to Mask",
)
def image_to_mask(image: Image, channel: str) -> Mask:
    """One channel as it is (alpha is not inverted). ValueError if the picture lacks it."""
    index = CHANNELS.index(channel)
    if index >= image.shape[3]:
        raise ValueError(f"The picture has {image.shape[3]} channels and no {channel}. Choose another channel.")
    selected: Mask = image[..., index]
    return selected


@family.node(
    "ImageColorToMask",
    MODULE,
    "mask",
    {"image": IMAGE, "color": integer(0, 0, 0xFFFFFF, 1, display="color")},
    ("MASK",),
)
def image_color_to_mask(image: Image, color: int) -> Mask:
    """1 where the rounded 8-bit colour is exactly 0xRRGGBB. ValueError for a picture without colours."""
    if image.shape[3] < 3:
        raise ValueError("A gray picture has no colours to look for. Use ImageToMask.")
    matching = np.ones(image.shape[:3], bool)
    for channel, level in enumerate((color >> 16 & 255, color >> 8 & 255, color & 255)):
        matching &= np.rint(np.clip(image[..., channel], 0, 1) * np.float32(255)) == level
    return matching.astype(np.float32)


@family.node("SolidMask", MODULE, "mask", {"value": number(1.0, 0.0, 1.0, 0.01), **AREA}, ("MASK",))
def solid_mask(value: float, width: int, height: int) -> Mask:
    """One value everywhere."""
    return np.full(check_room((1, height, width)), value, np.float32)


@family.node("InvertMask", MODULE, "mask", {"mask": MASK}, ("MASK",))
def invert_mask(mask: Mask) -> Mask:
    """1 - mask."""
    return 1 - mask


@family.node("CropMask", MODULE, "mask", {"mask": MASK, **POINT, **AREA}, ("MASK",))
def crop_mask(mask: Mask, x: int, y: int, width: int, height: int) -> Mask:
    """A plain slice: outside of the mask it is empty."""
    return as_masks(mask)[:, y : y + height, x : x + width]


@family.node(
    "MaskComposite",
    MODULE,
    "mask",
    {"destination": MASK, "source": MASK, **POINT, "operation": choice(*OPERATIONS)},
    ("MASK",),
)
def composite_masks(destination: Mask, source: Mask, x: int, y: int, operation: str) -> Mask:
    """The operation where the source lies over the destination; everything clamped to 0..1."""
    result, over = as_masks(destination).copy(), as_masks(source)
    if len(over) not in (1, len(result)):
        raise ValueError(f"{len(over)} masks cannot lie over {len(result)}. Give one, or as many as there are below.")
    if 0 < y - result.shape[1] < over.shape[1] or 0 < x - result.shape[2] < over.shape[2]:
        raise ValueError(f"x {x}, y {y} lies outside of the mask below. Use a point inside it.")
    part = result[:, y : y + over.shape[1], x : x + over.shape[2]]
    part[:] = OPERATIONS[operation](part, over[:, : part.shape[1], : part.shape[2]])
    return np.clip(result, 0, 1)


@family.node(
    "FeatherMask",
    MODULE,
    "mask",
    {"mask": MASK, **{side: integer(0, 0, MAX_SIDE, 1) for side in ("left", "top", "right", "bottom")}},
    ("MASK",),
)
def feather_mask(mask: Mask, left: int, top: int, right: int, bottom: int) -> Mask:
    """Linear ramps at the sides. Right and bottom count from index -0, which is the first one: kept for parity."""
    result = as_masks(mask).copy()
    for axis, near, far in ((2, left, right), (1, top, bottom)):
        lines = np.moveaxis(result, axis, -1)
        side = lines.shape[-1]
        near, far = min(near, side), min(far, side)
        lines[..., :near] *= _ramp(near)
        lines[..., -np.arange(far)] *= _ramp(far)
    return result


def _ramp(count: int) -> Mask:
    return (np.arange(1, count + 1) / max(count, 1)).astype(np.float32)


@family.node(
    "GrowMask",
    MODULE,
    "mask",
    {"mask": MASK, "expand": integer(0, -MAX_SIDE, MAX_SIDE, 1), "tapered_corners": boolean(True)},
    ("MASK",),
)
def grow_mask(mask: Mask, expand: int, tapered_corners: bool) -> Mask:
    """Dilated (expand > 0) or eroded so many pixels: a diamond if tapered, else a square."""
    return grow(as_masks(mask), expand, tapered_corners, current().check_interrupted)


@family.node("ThresholdMask", MODULE, "mask", {"mask": MASK, "value": number(0.5, 0.0, 1.0, 0.01)}, ("MASK",))
def threshold_mask(mask: Mask, value: float) -> Mask:
    """1 above the value, else 0."""
    return (mask > np.float32(value)).astype(np.float32)


@family.node(
    "ImageCompositeMasked",
    MODULE,
    "image",
    {"destination": IMAGE, "source": IMAGE, **POINT, "resize_source": boolean(False)},
    ("IMAGE",),
    optional={"mask": MASK},
)
def composite_masked(
    destination: Image, source: Image, x: int, y: int, resize_source: bool, mask: Mask | None = None
) -> Image:
    """The source pasted at x, y through the mask; what lies outside is cut off."""
    destination, source = match_channels(destination, source)
    if resize_source:
        source = upscale(source, destination.shape[2], destination.shape[1], "bilinear")
    source = fit_batch(source, len(destination))
    return paste(destination, source, x, y, mask)


def paste(destination: Image, source: Image, x: int, y: int, mask: Mask | None) -> Image:
    """m * source + (1 - m) * destination where the source lies over it; both of one batch size and channel count."""
    height, width = source.shape[1:3]
    result = destination.copy()
    top, left = max(-y, 0), max(-x, 0)
    part = result[:, max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    rows, columns = slice(top, top + part.shape[1]), slice(left, left + part.shape[2])
    seen = source[:, rows, columns]
    if mask is None:
        part[:] = seen
        return result
    weight = fit_batch(upscale_mask(mask, width, height, "bilinear"), len(destination))[:, rows, columns, np.newaxis]
    part[:] = weight * seen + (1 - weight) * part
    return result
