"""One node for every way of resizing pictures and masks, of newer ComfyUI versions, and comfyui_essentials' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, sqrt
from typing import Any

import numpy as np

from comfyserve.embedded.graph.dynamic_inputs import DYNAMIC_COMBO, MATCH_TYPE
from comfyserve.embedded.nodes.declare import IMAGE, MAX_SIDE, Family, Inputs, Spec, choice, integer, number
from comfyserve.embedded.pixels.arrays import Image, check_room
from comfyserve.embedded.pixels.resample import METHODS, upscale

family = Family()

Size = tuple[int, int]
Options = Mapping[str, Any]

CROP: Spec = ("COMBO", {"default": "center", "multiselect": False, "options": ["disabled", "center"]})
SIDE = integer(512, 0, MAX_SIDE, 1)
# What each choice of resize_type asks for.
RESIZE_TYPES: dict[str, Inputs] = {
    "scale dimensions": {"width": SIDE, "height": SIDE, "crop": CROP},
    "scale by multiplier": {"multiplier": number(1.0, 0.01, 8.0, 0.01)},
    "scale longer dimension": {"longer_size": SIDE},
    "scale shorter dimension": {"shorter_size": SIDE},
    "scale width": {"width": SIDE},
    "scale height": {"height": SIDE},
    "scale total pixels": {"megapixels": number(1.0, 0.01, 16.0, 0.01), "multiple": integer(1, 1, MAX_SIDE, 1)},
    "match size": {"match": ("IMAGE,MASK", {}), "crop": CROP},
    "scale to multiple": {"multiple": integer(8, 1, MAX_SIDE, 1)},
}
TEMPLATE = {"template": {"template_id": "input_type", "allowed_types": "IMAGE,MASK"}}


def _to_sides(width: int, height: int, wanted_width: int, wanted_height: int) -> Size:
    """A wanted side of 0 follows the other one; 0 and 0 are the old size."""
    if not wanted_width and not wanted_height:
        return width, height
    return (
        wanted_width or max(1, round(width * wanted_height / height)),
        wanted_height or max(1, round(height * wanted_width / width)),
    )


def _to_side(width: int, height: int, size: int, leading: Callable[[int, int], int]) -> Size:
    """The longer (max) or shorter (min) side gets the size, the other one follows."""
    if width == height:
        return size, size
    if leading(width, height) == height:
        return round((width / height) * size), size
    return size, round((height / width) * size)


def _to_pixels(width: int, height: int, megapixels: float, multiple: int) -> Size:
    factor = sqrt(int(megapixels * 1024 * 1024) / (width * height))
    sides = (max(1, round(side * factor / multiple)) * multiple for side in (width, height))
    return next(sides), next(sides)


SIZES: dict[str, Callable[[int, int, Options], Size]] = {
    "scale dimensions": lambda w, h, o: _to_sides(w, h, o["width"], o["height"]),
    "scale by multiplier": lambda w, h, o: (round(w * o["multiplier"]), round(h * o["multiplier"])),
    "scale longer dimension": lambda w, h, o: _to_side(w, h, o["longer_size"], max),
    "scale shorter dimension": lambda w, h, o: _to_side(w, h, o["shorter_size"], min),
    "scale width": lambda w, h, o: _to_sides(w, h, o["width"], 0),
    "scale height": lambda w, h, o: _to_sides(w, h, 0, o["height"]),
    "scale total pixels": lambda w, h, o: _to_pixels(w, h, o["megapixels"], o["multiple"]),
    "match size": lambda w, h, o: (o["match"].shape[2], o["match"].shape[1]),
}


@family.node(
    "ResizeImageMaskNode",
    "comfy_extras.nodes_post_processing",
    "image/transform",
    {
        "input": (MATCH_TYPE, TEMPLATE),
        "resize_type": (
            DYNAMIC_COMBO,
            {"options": [{"key": key, "inputs": {"required": inputs}} for key, inputs in RESIZE_TYPES.items()]},
        ),
        "scale_method": choice(*METHODS, default="area"),
    },
    (MATCH_TYPE,),
    title="Resize Image/Mask",
    names=("resized",),
    v3=True,
    match=("input_type",),
)
def resize(input: Image, resize_type: Options, scale_method: str) -> Image:
    """A picture [B,H,W,C] or mask [B,H,W] at the size that the chosen way gives."""
    pictures = input if input.ndim == 4 else input[..., np.newaxis]
    height, width = pictures.shape[1:3]
    way = resize_type["resize_type"]
    if way == "scale to multiple":
        resized = _cover_multiple(pictures, resize_type["multiple"], scale_method)
    elif way == "scale dimensions" and not resize_type["width"] and not resize_type["height"]:
        resized = pictures
    else:
        size = SIZES[way](width, height, resize_type)
        resized = upscale(pictures, *size, scale_method, resize_type.get("crop", "disabled"))
    return resized if input.ndim == 4 else resized[..., 0]


def _cover_multiple(image: Image, multiple: int, method: str) -> Image:
    """Resized so that it covers the next smaller size of whole multiples, and cut to that, centred."""
    height, width = image.shape[1:3]
    wanted_width, wanted_height = width // multiple * multiple, height // multiple * multiple
    if 0 in (wanted_width, wanted_height) or (wanted_width, wanted_height) == (width, height):
        return image
    across, down = wanted_width / width, wanted_height / height
    if across >= down:
        new_width, new_height = wanted_width, max(ceil(height * across), wanted_height)
    else:
        new_width, new_height = max(ceil(width * down), wanted_width), wanted_height
    covering = upscale(image, new_width, new_height, method)
    left, top = (new_width - wanted_width) // 2, (new_height - wanted_height) // 2
    return covering[:, top : top + wanted_height, left : left + wanted_width]


CONDITIONS: dict[str, Callable[[Size, Size], bool]] = {
    "always": lambda old, new: True,
    "downscale if bigger": lambda old, new: old[0] > new[0] or old[1] > new[1],
    "upscale if smaller": lambda old, new: old[0] < new[0] or old[1] < new[1],
    "if bigger area": lambda old, new: old[0] * old[1] > new[0] * new[1],
    "if smaller area": lambda old, new: old[0] * old[1] < new[0] * new[1],
}
FILL = "fill / crop"


@family.node(
    "ImageResize+",
    "custom_nodes.ComfyUI_essentials",
    "essentials/image manipulation",
    {
        "image": IMAGE,
        "width": SIDE,
        "height": SIDE,
        "interpolation": choice("nearest", "bilinear", "bicubic", "area", "nearest-exact", "lanczos"),
        "method": choice("stretch", "keep proportion", FILL, "pad"),
        "condition": choice(*CONDITIONS),
        "multiple_of": integer(0, 0, 512, 1),
    },
    ("IMAGE", "INT", "INT"),
    title="🔧 Image Resize",
    names=("IMAGE", "width", "height"),
)
def resize_essentials(
    image: Image, width: int, height: int, interpolation: str, method: str, condition: str, multiple_of: int
) -> tuple[Image, int, int]:
    """The picture at a size, with its proportions kept, cut or padded with black; clamped to 0..1.

    A side of 0 is free. `multiple_of` rounds the asked sides down and cuts what is left over, centred.
    """
    old = image.shape[2], image.shape[1]
    if multiple_of > 1:
        width, height = width - width % multiple_of, height - height % multiple_of
    new, box = _fitted(old, (width, height), method)
    result = image
    if CONDITIONS[condition](old, new):
        result = upscale(image, *new, interpolation)
        result = _padded(result, box) if method == "pad" else _cut(result, box) if method == FILL else result
    if multiple_of > 1:
        result = _cut(result, tuple(side - side % multiple_of for side in (result.shape[2], result.shape[1])))
    return np.clip(result, 0, 1), result.shape[2], result.shape[1]


def _fitted(old: Size, wanted: Size, method: str) -> tuple[Size, Size]:
    """The size to resize to, and the box to pad or cut to."""
    if method in ("stretch", FILL):
        box = wanted[0] or old[0], wanted[1] or old[1]
        if method == "stretch":
            return box, box
        factor = max(box[0] / old[0], box[1] / old[1])
        return (round(old[0] * factor), round(old[1] * factor)), box
    width, height = wanted
    # A free side is as long as it likes, unless the picture is to shrink to the other one.
    width = width or (MAX_SIDE if old[1] < height else old[0])
    height = height or (MAX_SIDE if old[0] < width else old[1])
    factor = min(width / old[0], height / old[1])
    return (round(old[0] * factor), round(old[1] * factor)), (width, height)


def _cut(image: Image, box: Size) -> Image:
    height, width = image.shape[1:3]
    left, top = max(0, (width - box[0]) // 2), max(0, (height - box[1]) // 2)
    return image[:, top : top + box[1], left : left + box[0]]


def _padded(image: Image, box: Size) -> Image:
    batch, height, width, channels = image.shape
    check_room((batch, box[1], box[0], channels))
    left, top = (box[0] - width) // 2, (box[1] - height) // 2
    return np.pad(image, ((0, 0), (top, box[1] - height - top), (left, box[0] - width - left), (0, 0)))
