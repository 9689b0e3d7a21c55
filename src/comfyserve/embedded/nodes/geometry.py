"""Size and geometry (catalogue of the protocol spec: Size and geometry)."""

from __future__ import annotations

from math import sqrt

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.declare import IMAGE, MAX_SIDE, Family, boolean, choice, integer, number
from comfyserve.embedded.pixels.arrays import Image, Mask, check_room
from comfyserve.embedded.pixels.resample import METHODS, upscale

family = Family()

IMAGES = "comfy_extras.nodes_images"
COLORS = {"white": (1, 1, 1), "black": (0, 0, 0), "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
TURNS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}
FLIPS = {"x-axis: vertically": 1, "y-axis: horizontally": 2}
# The widths of the sizes that the model was trained on, narrow to wide; their heights are the same numbers from behind.
KONTEXT_WIDTHS = (672, 688, 720, 752, 800, 832, 880, 944, 1024, 1104, 1184, 1248, 1328, 1392, 1456, 1504, 1568)
KONTEXT_SIZES = tuple(zip(KONTEXT_WIDTHS, reversed(KONTEXT_WIDTHS), strict=True))


@family.node(
    "ImageScale",
    "nodes",
    "image/upscaling",
    {
        "image": IMAGE,
        "upscale_method": choice(*METHODS),
        "width": integer(512, 0, MAX_SIDE, 1),
        "height": integer(512, 0, MAX_SIDE, 1),
        "crop": choice("disabled", "center"),
    },
    ("IMAGE",),
    title="Upscale Image",
)
def scale(image: Image, upscale_method: str, width: int, height: int, crop: str) -> Image:
    """The asked size; a side of 0 follows the other one, 0 and 0 leave the picture alone."""
    if width == 0 and height == 0:
        return image
    old_height, old_width = image.shape[1:3]
    new_width = width or max(1, round(old_width * height / old_height))
    new_height = height or max(1, round(old_height * width / old_width))
    return upscale(image, new_width, new_height, upscale_method, crop)


@family.node(
    "ImageScaleBy",
    "nodes",
    "image/upscaling",
    {"image": IMAGE, "upscale_method": choice(*METHODS), "scale_by": number(1.0, 0.01, 8.0, 0.01)},
    ("IMAGE",),
    title="Upscale Image By",
)
def scale_by(image: Image, upscale_method: str, scale_by: float) -> Image:
    """Both sides times a factor, rounded."""
    return upscale(image, round(image.shape[2] * scale_by), round(image.shape[1] * scale_by), upscale_method)


@family.node(
    "ImageScaleToTotalPixels",
    "comfy_extras.nodes_post_processing",
    "image/upscaling",
    {"image": IMAGE, "upscale_method": choice(*METHODS), "megapixels": number(1.0, 0.01, 16.0, 0.01)},
    ("IMAGE",),
    v3=True,
)
def scale_to_total_pixels(image: Image, upscale_method: str, megapixels: float) -> Image:
    """About so many megapixels (of 1024 x 1024) at the same aspect ratio."""
    height, width = image.shape[1:3]
    factor = sqrt(int(megapixels * 1024 * 1024) / (width * height))
    return upscale(image, round(width * factor), round(height * factor), upscale_method)


@family.node(
    "ImageScaleToMaxDimension",
    IMAGES,
    "image/upscaling",
    {
        "image": IMAGE,
        "upscale_method": choice("area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic"),
        "largest_size": integer(512, 0, MAX_SIDE, 1),
    },
    ("IMAGE",),
)
def scale_to_max_dimension(image: Image, upscale_method: str, largest_size: int) -> Image:
    """The longer side gets the asked size, the other keeps the aspect ratio."""
    height, width = image.shape[1:3]
    new_width = new_height = largest_size
    if height > width:
        new_width = round((width / height) * largest_size)
    elif width > height:
        new_height = round((height / width) * largest_size)
    return upscale(image, new_width, new_height, upscale_method)


@family.node(
    "FluxKontextImageScale",
    "comfy_extras.nodes_flux",
    "advanced/conditioning/flux",
    {"image": IMAGE},
    ("IMAGE",),
    v3=True,
)
def scale_for_kontext(image: Image) -> Image:
    """The one of 17 fixed sizes whose aspect ratio is nearest."""
    aspect = image.shape[2] / image.shape[1]
    width, height = min(KONTEXT_SIZES, key=lambda size: abs(aspect - size[0] / size[1]))
    return upscale(image, width, height, "lanczos", "center")


@family.node(
    "ImageCrop",
    IMAGES,
    "image/transform",
    {
        "image": IMAGE,
        "width": integer(512, 1, MAX_SIDE, 1),
        "height": integer(512, 1, MAX_SIDE, 1),
        "x": integer(0, 0, MAX_SIDE, 1),
        "y": integer(0, 0, MAX_SIDE, 1),
    },
    ("IMAGE",),
    title="Image Crop",
)
def crop(image: Image, width: int, height: int, x: int, y: int) -> Image:
    """A cut-out; its corner is kept inside the picture, its size shrinks at the edges."""
    left, top = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, top : top + height, left : left + width]


@family.node(
    "ImagePadForOutpaint",
    "nodes",
    "image",
    {
        "image": IMAGE,
        **{side: integer(0, 0, MAX_SIDE, 8) for side in ("left", "top", "right", "bottom")},
        "feathering": integer(40, 0, MAX_SIDE, 1),
    },
    ("IMAGE", "MASK"),
    title="Pad Image for Outpainting",
)
def pad_for_outpaint(image: Image, left: int, top: int, right: int, bottom: int, feathering: int) -> tuple[Image, Mask]:
    """A gray border, and a mask that is 1 there and falls off quadratically over `feathering` pixels inside."""
    batch, height, width, channels = image.shape
    shape = check_room((batch, top + height + bottom, left + width + right, channels))
    padded = np.full(shape, 0.5, np.float32)
    padded[:, top : top + height, left : left + width] = image
    mask = np.ones((1, *shape[1:3]), np.float32)
    inside = mask[:, top : top + height, left : left + width]
    inside[:] = 0
    if feathering > 0 and feathering * 2 < min(height, width):
        inside[:] = _feather(height, width, (left, top, right, bottom), feathering)
    return padded, mask


def _feather(height: int, width: int, border: tuple[int, int, int, int], feathering: int) -> Mask:
    left, top, right, bottom = border
    rows, columns = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
    # A side without a border never counts: its distance is the whole side.
    above, below = rows if top else rows * 0 + height, height - rows if bottom else rows * 0 + height
    before, after = columns if left else columns * 0 + width, width - columns if right else columns * 0 + width
    distance = np.minimum(np.minimum(above, below)[:, np.newaxis], np.minimum(before, after))
    falloff: Mask = np.square(np.maximum(feathering - distance, 0) / feathering).astype(np.float32)
    return falloff


@family.node(
    "ResizeAndPadImage",
    IMAGES,
    "image/transform",
    {
        "image": IMAGE,
        "target_width": integer(512, 1, MAX_SIDE, 1),
        "target_height": integer(512, 1, MAX_SIDE, 1),
        "padding_color": choice("white", "black"),
        "interpolation": choice("area", "bicubic", "nearest-exact", "bilinear", "lanczos"),
    },
    ("IMAGE",),
)
def resize_and_pad(
    image: Image, target_width: int, target_height: int, padding_color: str, interpolation: str
) -> Image:
    """The whole picture as large as it fits, centred on a white or black one of the asked size."""
    batch, height, width, channels = image.shape
    factor = min(target_width / width, target_height / height)
    small = upscale(image, int(width * factor), int(height * factor), interpolation)
    shape = check_room((batch, target_height, target_width, channels))
    padded = np.full(shape, 1 if padding_color == "white" else 0, np.float32)
    top, left = (target_height - small.shape[1]) // 2, (target_width - small.shape[2]) // 2
    padded[:, top : top + small.shape[1], left : left + small.shape[2]] = small
    return padded


@family.node("ImageRotate", IMAGES, "image/transform", {"image": IMAGE, "rotation": choice(*TURNS)}, ("IMAGE",))
def rotate(image: Image, rotation: str) -> Image:
    """Quarter turns, clockwise."""
    return np.rot90(image, TURNS[rotation], axes=(2, 1))


@family.node("ImageFlip", IMAGES, "image/transform", {"image": IMAGE, "flip_method": choice(*FLIPS)}, ("IMAGE",))
def flip(image: Image, flip_method: str) -> Image:
    """Rows (x-axis) or columns (y-axis) in reverse."""
    return np.flip(image, axis=FLIPS[flip_method])


@family.node(
    "GetImageSize",
    IMAGES,
    "image",
    {"image": IMAGE},
    ("INT", "INT", "INT"),
    title="Get Image Size",
    names=("width", "height", "batch_size"),
    hidden={"unique_id": "UNIQUE_ID"},
)
def get_image_size(image: Image, unique_id: str | None = None) -> tuple[int, int, int]:
    """Width, height and batch size, also shown on the node."""
    batch, height, width = image.shape[:3]
    current().text(f"width: {width}, height: {height}\n batch size: {batch}")
    return width, height, batch


@family.node(
    "ImageStitch",
    IMAGES,
    "image/transform",
    {
        "image1": IMAGE,
        "direction": choice("right", "down", "left", "up", default="right"),
        "match_image_size": boolean(True),
        "spacing_width": integer(0, 0, 1024, 2),
        "spacing_color": choice(*COLORS, default="white"),
    },
    ("IMAGE",),
    title="Image Stitch",
    optional={"image2": IMAGE},
)
def stitch(
    image1: Image,
    direction: str,
    match_image_size: bool,
    spacing_width: int,
    spacing_color: str,
    image2: Image | None = None,
) -> Image:
    """Two pictures side by side or one above the other, image2 on the side that `direction` names."""
    if image2 is None:
        return image1
    sideways = direction in ("left", "right")
    batch = max(len(image1), len(image2))
    first, second = _extended(image1, batch), _extended(image2, batch)
    if match_image_size:
        second = _resized_beside(first, second, sideways)
    across, along = (1, 2) if sideways else (2, 1)
    if not match_image_size:
        side = max(first.shape[across], second.shape[across])
        fill = 1.0 if spacing_color == "white" else 0.0
        first, second = _centred(first, across, side, fill), _centred(second, across, side, fill)
    channels = max(first.shape[3], second.shape[3])
    first, second = _with_channels(first, channels), _with_channels(second, channels)
    parts = [first, second] if direction in ("right", "down") else [second, first]
    if spacing_width > 0:
        parts.insert(1, _spacing(first, along, spacing_width + spacing_width % 2, spacing_color))
    shape = list(first.shape)
    shape[along] = sum(part.shape[along] for part in parts)
    check_room(shape)
    return np.concatenate(parts, axis=along)


def _extended(image: Image, batch: int) -> Image:
    check_room((batch, *image.shape[1:]))
    return image[np.minimum(np.arange(batch), len(image) - 1)]


def _resized_beside(first: Image, second: Image, sideways: bool) -> Image:
    height, width = first.shape[1:3]
    aspect = second.shape[2] / second.shape[1]
    new_width, new_height = (int(height * aspect), height) if sideways else (width, int(width / aspect))
    return upscale(second, new_width, new_height, "lanczos")


def _with_channels(image: Image, channels: int) -> Image:
    missing = channels - image.shape[3]
    return np.pad(image, ((0, 0), (0, 0), (0, 0), (0, missing)), constant_values=1) if missing else image


def _centred(image: Image, axis: int, side: int, fill: float) -> Image:
    free = side - image.shape[axis]
    check_room((*image.shape[:axis], side, *image.shape[axis + 1 :]))
    widths = [(0, 0)] * image.ndim
    widths[axis] = (free // 2, free - free // 2)
    return np.pad(image, widths, constant_values=fill)


def _spacing(image: Image, axis: int, width: int, color: str) -> Image:
    shape = list(image.shape)
    shape[axis] = width
    bar = np.ones(shape, np.float32)
    bar[..., :3] = COLORS[color][: min(3, shape[3])]
    return bar
