"""Batches and lists of pictures (catalogue of the protocol spec: Batches and lists)."""

from __future__ import annotations

import numpy as np

from comfyserve.embedded.nodes.declare import IMAGE, Family, integer
from comfyserve.embedded.pixels.arrays import Image, check_room
from comfyserve.embedded.pixels.resample import upscale

family = Family()

IMAGES = "comfy_extras.nodes_images"


@family.node("ImageBatch", "nodes", "image", {"image1": IMAGE, "image2": IMAGE}, ("IMAGE",), title="Batch Images")
def batch(image1: Image, image2: Image) -> Image:
    """Both one after the other, image2 fitted to the size of image1. ValueError if their channels differ."""
    if image1.shape[3] != image2.shape[3]:
        channels = f"{image1.shape[3]} and {image2.shape[3]}"
        raise ValueError(f"The pictures have {channels} channels. Give both the same, e.g. with SplitImageWithAlpha.")
    fitted = upscale(image2, image1.shape[2], image1.shape[1], "bilinear", "center")
    check_room((len(image1) + len(fitted), *image1.shape[1:]))
    return np.concatenate([image1, fitted])


@family.node("RepeatImageBatch", IMAGES, "image/batch", {"image": IMAGE, "amount": integer(1, 1, 4096)}, ("IMAGE",))
def repeat(image: Image, amount: int) -> Image:
    """The whole batch, so many times."""
    check_room((len(image) * amount, *image.shape[1:]))
    return np.tile(image, (amount, 1, 1, 1))


@family.node(
    "ImageFromBatch",
    IMAGES,
    "image/batch",
    {"image": IMAGE, "batch_index": integer(0, 0, 4095), "length": integer(1, 1, 4096)},
    ("IMAGE",),
)
def from_batch(image: Image, batch_index: int, length: int) -> Image:
    """Up to `length` items from an index, which is kept inside the batch."""
    start = min(len(image) - 1, batch_index)
    return image[start : start + length]


@family.node(
    "RebatchImages",
    "comfy_extras.nodes_rebatch",
    "image/batch",
    {"images": IMAGE, "batch_size": integer(1, 1, 4096)},
    ("IMAGE",),
    title="Rebatch Images",
    lists=(True,),
    takes_lists=True,
    v3=True,
)
def rebatch(images: list[Image], batch_size: list[int]) -> list[Image]:
    """All pictures of the list, regrouped to batches of one size. ValueError if their shapes differ within a group."""
    singles = [picture for batch in images for picture in batch]
    size = batch_size[0]
    groups = [singles[start : start + size] for start in range(0, len(singles), size)]
    if any(picture.shape != group[0].shape for group in groups for picture in group):
        raise ValueError(
            "Pictures of different sizes cannot share a batch. Use a batch size of 1 or resize them first."
        )
    return [np.stack(group) for group in groups]
