"""The shapes every node speaks: IMAGE [B,H,W,C] and MASK [B,H,W], float32, nominally 0..1 (protocol spec section 9)."""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

# 2 GiB of float32: a 16384 x 8192 RGB picture still fits, a typing error in a batch size does not.
MAX_SAMPLES = 2**29


def check_room(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape itself, if such an array may exist here; otherwise a ValueError that names the limit."""
    if min(shape) < 0 or prod(shape) > MAX_SAMPLES:
        raise ValueError(
            f"A picture of shape {list(shape)} is not possible here: at most {MAX_SAMPLES} samples. Ask for less."
        )
    return tuple(shape)


def to_bytes(samples: npt.NDArray[np.float32]) -> Bytes:
    """8-bit samples as ComfyUI saves them: clip(255 x), then truncate, never round (protocol spec section 12)."""
    levels: Bytes = np.clip(samples * np.float32(255), 0, 255).astype(np.uint8)
    return levels


def from_bytes(samples: Bytes) -> npt.NDArray[np.float32]:
    """uint8 to float32 / 255: the inverse of to_bytes for all 256 levels."""
    return samples.astype(np.float32) / np.float32(255)


def as_masks(mask: Mask) -> Mask:
    """[H,W] or [B,H,W] as [B,H,W]; a mask with more axes is flattened to a batch."""
    return mask.reshape((-1, *mask.shape[-2:]))


def fit_batch(samples: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Exactly `size` items: cut when there are more, repeated from the start when there are fewer."""
    have = samples.shape[0]
    if have == size:
        return samples
    check_room((size, *samples.shape[1:]))
    fitted: npt.NDArray[np.float32] = samples[np.arange(size) % have]
    return fitted


def match_channels(destination: Image, source: Image) -> Image:
    """The source with the destination's channels: surplus ones are cut.

    A destination with more channels raises ValueError: the original fails there too (spec 13, ImageCompositeMasked).
    """
    want, have = destination.shape[-1], source.shape[-1]
    if want > have:
        raise ValueError(f"The first picture has {want} channels, the second {have}. Give both the same channels.")
    return source[..., :want]
