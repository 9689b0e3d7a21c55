"""Batches and lists of pictures (catalogue of the protocol spec: Batches and lists)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from comfyserve.embedded.graph.dynamic_inputs import AUTOGROW, MATCH_TYPE
from comfyserve.embedded.nodes.declare import IMAGE, Family, Spec, integer
from comfyserve.embedded.pixels.arrays import Image, Mask, as_masks, check_room
from comfyserve.embedded.pixels.latents import Latent, batch_of
from comfyserve.embedded.pixels.resample import upscale, upscale_mask

family = Family()

IMAGES = "comfy_extras.nodes_images"
POST = "comfy_extras.nodes_post_processing"


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


def _growing(prefix: str, spec: Spec) -> Spec:
    template = {"input": {"required": {prefix: spec}}, "prefix": prefix, "min": 1, "max": 50}
    return (AUTOGROW, {"template": template})


@family.node(
    "BatchImagesNode",
    POST,
    "image/batch",
    {"images": _growing("image", ("IMAGE", {}))},
    ("IMAGE",),
    title="Batch Images",
    v3=True,
)
def batch_images(images: dict[str, Image]) -> Image:
    """All at the size of the first; where some have alpha, the others become opaque."""
    pictures = list(images.values())
    channels = max(picture.shape[3] for picture in pictures)
    first = pictures[0]
    check_room((sum(len(picture) for picture in pictures), *first.shape[1:3], channels))
    return np.concatenate([_alike(picture, first, channels) for picture in pictures])


def _alike(picture: Image, first: Image, channels: int) -> Image:
    missing = ((0, 0), (0, 0), (0, 0), (0, channels - picture.shape[3]))
    opaque = np.pad(picture, missing, constant_values=1)
    return upscale(opaque, first.shape[2], first.shape[1], "bilinear", "center")


@family.node(
    "BatchMasksNode",
    POST,
    "image/mask",
    {"masks": _growing("mask", ("MASK", {}))},
    ("MASK",),
    title="Batch Masks",
    v3=True,
)
def batch_masks(masks: dict[str, Mask]) -> Mask:
    """All at the size of the first."""
    parts = [as_masks(mask) for mask in masks.values()]
    height, width = parts[0].shape[1:]
    check_room((sum(len(part) for part in parts), height, width))
    return np.concatenate([upscale_mask(part, width, height, "bilinear", "center") for part in parts])


@family.node(
    "BatchLatentsNode",
    POST,
    "model/latent/batch",
    {"latents": _growing("latent", ("LATENT", {}))},
    ("LATENT",),
    title="Batch Latents",
    v3=True,
)
def batch_latents(latents: dict[str, Latent]) -> Latent:
    """All at the size of the first."""
    return batch_of(list(latents.values()))


@family.node(
    "BatchImagesMasksLatentsNode",
    POST,
    "util",
    {
        "inputs": _growing(
            "input", (MATCH_TYPE, {"template": {"template_id": "input", "allowed_types": "IMAGE,MASK,LATENT"}})
        )
    },
    (MATCH_TYPE,),
    title="Batch Images/Masks/Latents",
    names=("MATCHTYPE",),
    v3=True,
    match=("input",),
)
def batch_any(inputs: dict[str, Any]) -> Any:
    """Pictures, masks or latents, as the first one is."""
    first = next(iter(inputs.values()))
    if isinstance(first, Mapping):
        return batch_latents(inputs)
    return batch_images(inputs) if first.ndim == 4 else batch_masks(inputs)
