"""Latents of the simulated model: ComfyUI's documented shapes, with the full pictures carried beside.

Channels 0 to 2 of `samples` are the mean colour of each cell on -1..1, the fourth is the contrast inside the cell, and
further ones repeat these four. Nodes may change `samples` freely: cells that no carried picture explains are
enlarged, with the carried picture's detail where the two still agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from comfyserve.embedded.pixels.arrays import check_room

from .grid import SD, Grid, grid_of
from .model import Bytes, Latent

Floats = NDArray[np.float32]

CARRIED = "simulated"
GRID = "simulated_grid"
# Cells whose colour differs by this much (of 2) from the carried picture share half of its detail.
DETAIL_REACH = np.float32(0.5)
EMPTY_LEVEL = 128


@dataclass(frozen=True, slots=True)
class Carried:
    """The pictures that `samples` stand for, and how they came about.

    `origin` is the seed that decided the composition and `words` the prompt, both empty for encoded pictures.
    While noise is left, `clean` is where the way leads.
    """

    pictures: Bytes = field(repr=False)
    samples: Floats = field(repr=False)
    origin: str = ""
    words: str = ""
    clean: Bytes | None = field(default=None, repr=False)


class SimulatedLatent(TypedDict):
    """`samples` float32 [B,C,h,w] or [B,C,T,h,w]; `simulated` the pictures that they stand for."""

    samples: Floats
    simulated: Carried
    simulated_grid: Grid


def empty(grid: Grid, width: int, height: int, batch: int = 1, length: int = 1) -> dict[str, Any]:
    """Zeros for pictures or clips of this size in pixels and frames. ValueError when that is too large to make."""
    check_size(batch * (length if grid.stride else 1), height, width)
    return {"samples": np.zeros(grid.shape(width, height, batch, length), np.float32), GRID: grid}


def check_size(pictures: int, height: int, width: int) -> None:
    """Refuse (ValueError) pictures that are too many or too large to make, before they take memory."""
    check_room((pictures, height, width, 3))


def encode(pictures: Floats, grid: Grid = SD) -> SimulatedLatent:
    """The latent of pictures float32 [N,H,W,C]; sizes are cut to whole cells, centred, alpha is dropped.

    A grid of clips takes the pictures as the frames of one clip, cut to a length that it can hold.
    """
    if pictures.ndim != 4 or min(pictures.shape[1:3]) < grid.cell:
        raise ValueError(
            f"Pictures must be [batch, height, width, channels], at least {grid.cell} x {grid.cell}; "
            f"got {pictures.shape}."
        )
    batch, height, width, channels = pictures.shape
    check_size(batch, height, width)
    top, left = height % grid.cell // 2, width % grid.cell // 2
    count = grid.frames((batch - 1) // grid.stride + 1) if grid.stride else batch
    cut = pictures[:count, top : top + height // grid.cell * grid.cell, left : left + width // grid.cell * grid.cell]
    rgb = np.repeat(cut[..., :1], 3, axis=-1) if channels < 3 else cut[..., :3]
    return latent_of(rounded_bytes(rgb), grid)


def latent_of(pictures: Bytes, grid: Grid = SD, batch: int = 1, **origin: Any) -> SimulatedLatent:
    """The latent that stands for these pictures uint8 [N,H,W,3] of whole cells; clips are `batch` equal parts."""
    samples = _cells(pictures, grid, batch)
    return {"samples": samples, CARRIED: Carried(pictures, samples, **origin), GRID: grid}  # type: ignore[misc] # keys by name


def carried_by(latent: Latent) -> Carried | None:
    """What a latent carries beside its samples."""
    carried = latent.get(CARRIED)
    return carried if isinstance(carried, Carried) else None


def grid_by(latent: Latent) -> Grid:
    """The grid of a latent, guessed from its shape when nothing says it."""
    samples = np.asarray(latent["samples"])
    found = latent.get(GRID)
    if isinstance(found, Grid) and samples.ndim == (5 if found.stride else 4):
        return found
    return grid_of(samples.shape)


def decode(latent: Latent) -> Bytes:
    """The pictures uint8 [N,H,W,3] of a latent: the carried ones, or enlarged cells where those were changed."""
    samples = np.asarray(latent["samples"], dtype=np.float32)
    grid = grid_by(latent)
    places = samples.shape[2] if samples.ndim == 5 else 1
    height, width = samples.shape[-2] * grid.cell, samples.shape[-1] * grid.cell
    check_size(samples.shape[0] * grid.frames(places), height, width)
    carried = carried_by(latent)
    if carried is not None and np.array_equal(carried.samples, samples):
        return carried.pictures
    if carried is None and not samples.any():
        gray = np.full((1, 1, 1, 1), EMPTY_LEVEL, np.uint8)
        return np.broadcast_to(gray, (samples.shape[0] * grid.frames(places), height, width, 3))
    return _Rebuilding(grid, carried).pictures(samples)


def clean_part(latent: Latent) -> Latent:
    """The latent without the noise that is left in it."""
    carried = carried_by(latent)
    if carried is None or carried.clean is None:
        return latent
    shown = replace(carried, pictures=carried.clean, clean=None)
    return {**latent, CARRIED: shown}


def rounded_bytes(picture: Floats) -> Bytes:
    """0..1 floats as bytes, clipped and rounded, where `pixels.arrays.to_bytes` truncates."""
    scaled = np.multiply(picture, np.float32(255), dtype=np.float32)
    scaled += np.float32(0.5)
    np.clip(scaled, 0, 255.5, out=scaled)
    return scaled.astype(np.uint8)


def to_floats(picture: Bytes) -> Floats:
    """Bytes as floats 0..1."""
    return np.true_divide(picture, np.float32(255), dtype=np.float32)


def resized(picture: Bytes, width: int, height: int) -> Bytes:
    """One picture at another size, bicubic."""
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)


class _Rebuilding:
    """Pictures for samples that a node has changed: place by place, from the carried pictures where they still fit."""

    def __init__(self, grid: Grid, carried: Carried | None) -> None:
        self._grid = grid
        self._carried = carried
        self._places: list[tuple[Bytes, Floats]] = []
        self._known: dict[bytes, int] = {}
        self._times = 1
        if carried is not None:
            clips = _as_clips(carried.samples)
            self._times = clips.shape[2]
            frames = carried.pictures.reshape(len(clips), -1, *carried.pictures.shape[1:])
            for clip, own in zip(clips, frames, strict=True):
                for time in range(self._times):
                    cells = np.ascontiguousarray(clip[:, time])
                    self._known[cells.tobytes()] = len(self._places)
                    self._places.append((own[_frames_of(grid, time)], cells))

    def pictures(self, samples: Floats) -> Bytes:
        """All frames of all clips, one after the other."""
        clips = _as_clips(samples)
        times = clips.shape[2]
        parts = [
            self._place(np.ascontiguousarray(clip[:, time]), number, time, times)
            for number, clip in enumerate(clips)
            for time in range(times)
        ]
        return np.concatenate(parts)

    def _place(self, cells: Floats, number: int, time: int, times: int) -> Bytes:
        wanted = len(range(*_frames_of(self._grid, time).indices(1 << 30)))
        exact = self._known.get(cells.tobytes())
        if exact is not None:
            return _stretched(self._places[exact][0], wanted)
        if not self._places:
            return _stretched(_enlarge(cells, self._grid.cell)[None], wanted)
        nearest = round(time * (self._times - 1) / max(times - 1, 1))
        own = min(number, len(self._places) // self._times - 1) * self._times + nearest
        frames, old = self._places[own]
        return np.stack([_detailed(cells, frame, old, self._grid.cell) for frame in _stretched(frames, wanted)])


def _frames_of(grid: Grid, time: int) -> slice:
    return slice(0, 1) if time == 0 else slice(1 + (time - 1) * grid.stride, 1 + time * grid.stride)


def _stretched(frames: Bytes, wanted: int) -> Bytes:
    if len(frames) == wanted:
        return frames
    return frames[-1:] if wanted == 1 else frames[np.linspace(0, len(frames) - 1, wanted).round().astype(int)]


def _as_clips(samples: Floats) -> Floats:
    return samples if samples.ndim == 5 else samples[:, :, None]


def _cells(pictures: Bytes, grid: Grid, batch: int) -> Floats:
    if not grid.stride:
        return _cells_of(pictures, grid)
    keys = pictures.reshape(batch, -1, *pictures.shape[1:])[:, :: grid.stride]
    cells = _cells_of(keys.reshape(-1, *pictures.shape[1:]), grid)
    return np.ascontiguousarray(cells.reshape(batch, -1, *cells.shape[1:]).transpose(0, 2, 1, 3, 4))


def _cells_of(pictures: Bytes, grid: Grid) -> Floats:
    batch, height, width, _ = pictures.shape
    cell = grid.cell
    blocks = pictures.reshape(batch, height // cell, cell, width // cell, cell, 3).astype(np.int32)
    # Integer sums are exact, so equal pictures have equal cells whatever the processor.
    colour = blocks.sum(axis=(2, 4)).astype(np.float32) / np.float32(cell * cell * 127.5) - 1
    gray = blocks.sum(axis=-1)
    spread = (gray.max(axis=(2, 4)) - gray.min(axis=(2, 4))).astype(np.float32) / np.float32(3 * 127.5)
    four = np.concatenate([colour, spread[..., None]], axis=-1)
    samples = np.tile(four, -(-grid.channels // 4))[..., : grid.channels]
    return np.ascontiguousarray(samples.transpose(0, 3, 1, 2))


def _colours(cells: Floats) -> Floats:
    """The colours [h,w,3] of cells [C,h,w] on 0..1, not clipped."""
    channels = cells[:3] if cells.shape[0] >= 3 else np.repeat(cells[:1], 3, axis=0)
    return np.asarray(np.nan_to_num(channels.transpose(1, 2, 0)) * np.float32(0.5) + np.float32(0.5), np.float32)


def _enlarge(cells: Floats, cell: int) -> Bytes:
    colours = _colours(cells)
    return resized(rounded_bytes(colours), colours.shape[1] * cell, colours.shape[0] * cell)


def _detailed(cells: Floats, frame: Bytes, old: Floats, cell: int) -> Bytes:
    """The cells enlarged, with the detail of the frame where the frame's own cells, at this size, are about these."""
    height, width = cells.shape[1] * cell, cells.shape[2] * cell
    new, known = _colours(cells), _scaled(_colours(old), cells.shape[2], cells.shape[1])
    away = np.abs(new - known).max(axis=-1, keepdims=True) / (DETAIL_REACH / 2)
    share = _scaled(np.float32(1) / (np.float32(1) + away * away * away * away), width, height)
    detailed = to_floats(resized(frame, width, height)) + _scaled(new - known, width, height)
    return rounded_bytes(np.asarray(detailed * share + _scaled(new, width, height) * (1 - share), np.float32))


def _scaled(values: Floats, width: int, height: int) -> Floats:
    """Floats [h,w,C] at another size, bilinear."""
    sized = (
        Image.fromarray(np.ascontiguousarray(values[..., channel])).resize((width, height), Image.Resampling.BILINEAR)
        for channel in range(values.shape[-1])
    )
    return np.stack([np.asarray(one, np.float32) for one in sized], axis=-1)
