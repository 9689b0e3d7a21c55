"""Latents of the simulated model: ComfyUI's documented shape, with the full pictures carried beside.

The first three channels of `samples` are the mean colour of each 8x8 cell on -1..1, the fourth is the contrast inside
the cell. Nodes may change `samples` freely: a cell grid that no carried picture explains is decoded by enlarging it.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Latent = Mapping[str, Any]

CELL = 8
CHANNELS = 4
# A picture of 5792 x 5792, or a batch of 32 at 1024 x 1024: about 400 MB as floats.
MAX_PIXELS = 2**25
CARRIED = "simulated"


class SimulatedLatent(TypedDict):
    """`samples` float32 [B,4,H/8,W/8]; `simulated` the pictures uint8 [B,H,W,3] that they stand for."""

    samples: Floats
    simulated: Bytes


def check_size(batch: int, height: int, width: int) -> None:
    """Refuse (ValueError) a batch of pictures that is too large to make."""
    if batch * height * width > MAX_PIXELS:
        raise ValueError(
            f"{batch} x {width}x{height} pixels is more than the simulated model makes ({MAX_PIXELS} pixels in all). "
            "Ask for a smaller size or batch."
        )


def encode(pictures: Floats) -> SimulatedLatent:
    """The latent of pictures float32 [B,H,W,C]; sizes are cut to a multiple of 8, centred, alpha is dropped."""
    if pictures.ndim != 4 or min(pictures.shape[1:3]) < CELL:
        raise ValueError(f"Pictures must be [batch, height, width, channels], at least 8x8; got {pictures.shape}.")
    batch, height, width, channels = pictures.shape
    check_size(batch, height, width)
    top, left = height % CELL // 2, width % CELL // 2
    cut = pictures[:, top : top + height // CELL * CELL, left : left + width // CELL * CELL]
    rgb = np.repeat(cut[..., :1], 3, axis=-1) if channels < 3 else cut[..., :3]
    return latent_of(to_bytes(rgb))


def latent_of(pictures: Bytes) -> SimulatedLatent:
    """The latent that stands for these pictures uint8 [B,H,W,3]; H and W are multiples of 8."""
    return {"samples": _cells(pictures), "simulated": pictures}


def decode(latent: Latent) -> Bytes:
    """The pictures uint8 [B,8h,8w,3] of a latent: the carried ones, or enlarged cells where those were changed."""
    samples = np.asarray(latent["samples"], dtype=np.float32)
    if samples.ndim != 4:
        raise ValueError(f"The simulated model decodes latents [batch, channels, height, width]; got {samples.shape}.")
    check_size(samples.shape[0], samples.shape[2] * CELL, samples.shape[3] * CELL)
    carried = latent.get(CARRIED)
    known = _by_cells(carried) if isinstance(carried, np.ndarray) else {}
    pictures = []
    for one in samples:
        found = known.get(one.tobytes())
        pictures.append(_enlarge(one) if found is None else found)
    return np.stack(pictures)


def to_bytes(picture: Floats) -> Bytes:
    """0..1 floats as bytes, clipped and rounded."""
    return np.asarray(np.clip(picture, 0, 1) * np.float32(255) + np.float32(0.5), dtype=np.uint8)


def to_floats(picture: Bytes) -> Floats:
    """Bytes as floats 0..1."""
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def _cells(pictures: Bytes) -> Floats:
    batch, height, width, _ = pictures.shape
    grid = pictures.reshape(batch, height // CELL, CELL, width // CELL, CELL, 3).astype(np.int32)
    # Integer sums are exact, so equal pictures have equal cells whatever the processor.
    colour = grid.sum(axis=(2, 4)).astype(np.float32) / np.float32(CELL * CELL * 127.5) - 1
    gray = grid.sum(axis=-1)
    spread = (gray.max(axis=(2, 4)) - gray.min(axis=(2, 4))).astype(np.float32) / np.float32(3 * 127.5)
    samples = np.concatenate([colour, spread[..., None]], axis=-1)
    return np.ascontiguousarray(samples.transpose(0, 3, 1, 2))


def _by_cells(carried: Bytes) -> dict[bytes, Bytes]:
    return {cells.tobytes(): picture for cells, picture in zip(_cells(carried), carried, strict=True)}


def _enlarge(cells: Floats) -> Bytes:
    channels = cells[:3] if cells.shape[0] >= 3 else np.repeat(cells[:1], 3, axis=0)
    small = to_bytes(np.nan_to_num(channels.transpose(1, 2, 0)) * np.float32(0.5) + np.float32(0.5))
    size = (cells.shape[2] * CELL, cells.shape[1] * CELL)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)
