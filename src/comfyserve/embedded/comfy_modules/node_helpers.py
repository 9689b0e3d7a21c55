"""Small functions that nodes share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from comfyserve.embedded.packs.host import needs_torch

Result = TypeVar("Result")
Conditioning = list[list[Any]]


def conditioning_set_values(
    conditioning: Conditioning, values: Mapping[str, Any] | None = None, append: bool = False
) -> Conditioning:
    """A copy with these values in every entry, added to those there if append."""
    found: Conditioning = []
    for entry in conditioning:
        options = dict(entry[1])
        for key, value in (values or {}).items():
            options[key] = options[key] + value if append and options.get(key) is not None else value
        found.append([entry[0], options])
    return found


def pillow(fn: Callable[[Any], Result], arg: Any) -> Result:
    """fn(arg), once more with Pillow's patience for truncated files if it fails."""
    from PIL import ImageFile, UnidentifiedImageError

    try:
        return fn(arg)
    except (OSError, UnidentifiedImageError, ValueError):
        before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
        try:
            return fn(arg)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def hasher() -> Callable[..., Any]:
    """The hash function that names uploads."""
    return hashlib.sha256


def image_alpha_fix(destination: Any, source: Any) -> tuple[Any, Any]:
    """Both pictures with the same number of channels."""
    import numpy as np

    channels = destination.shape[-1]
    if channels < source.shape[-1]:
        source = source[..., :channels]
    elif channels > source.shape[-1]:
        destination = np.concatenate([destination, np.ones_like(destination[..., :1])], axis=-1)
    return destination, source


def string_to_torch_dtype(string: str) -> Any:
    """Raises NeedsTorch."""
    needs_torch("node_helpers.string_to_torch_dtype")
