"""The built-in nodes: one file per family, merged here into the two mappings that ComfyUI's loader knows."""

from types import ModuleType
from typing import Any, Final

from comfyserve.embedded.nodes import (
    adjust,
    alpha,
    animation,
    audio,
    batches,
    datasets,
    drawings,
    effects,
    expressions,
    geometry,
    io,
    latent_batches,
    latent_files,
    latent_operations,
    latents,
    logic,
    masks,
    models,
    primitives,
    resize,
    strings,
    vhs_combine,
    vhs_images,
    vhs_info,
    vhs_load,
    video,
)

FAMILIES: Final[tuple[ModuleType, ...]] = (
    io,
    geometry,
    resize,
    adjust,
    effects,
    batches,
    datasets,
    masks,
    alpha,
    animation,
    audio,
    video,
    vhs_load,
    vhs_images,
    vhs_combine,
    vhs_info,
    strings,
    primitives,
    logic,
    expressions,
    drawings,
    models,
    latents,
    latent_batches,
    latent_files,
    latent_operations,
)

NODE_CLASS_MAPPINGS: Final[dict[str, type[Any]]] = {
    name: node for family in FAMILIES for name, node in family.family.classes.items()
}
NODE_DISPLAY_NAME_MAPPINGS: Final[dict[str, str]] = {
    name: title for family in FAMILIES for name, title in family.family.titles.items()
}
