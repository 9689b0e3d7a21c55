"""The simulated model: draws what the prompt names instead of running a network. Same task, same bytes, everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from . import latent as latents
from .chance import generator
from .drawing import draw
from .edit import edited, names_colours
from .grid import SD, Grid
from .latent import Floats, SimulatedLatent, resized, rounded_bytes, to_floats
from .model import Bytes, Control, Latent
from .motion import Camera, camera_for, clip
from .prompt import read
from .recolour import blend, following, palette, recoloured
from .sampler import Check, OnStep, Preview, Task, unwatched
from .wish import KEYFRAMES, read_wish

# Below this denoise a given picture is only recoloured; above it, what the prompt names comes in.
KEEPS_ALL = 0.6
# How far the last frame of a clip goes towards the colours that the words name.
DRIFT_SHARE = 0.15
NOISE_CELL = 8
# A mask makes room for a picture of its own when it covers at most this share and at least these pixels a side.
MOST_HOLE, LEAST_HOLE, OPEN_LEVEL = 0.8, 32, 40


class SimulatedSampler:
    """See the protocol `Sampler`."""

    def encode(self, pictures: Floats, grid: Grid = SD) -> SimulatedLatent:
        return latents.encode(pictures, grid)

    def decode(self, latent: Latent) -> Floats:
        return to_floats(latents.decode(latent))

    def sample(self, task: Task, latent: Latent, on_step: OnStep, check: Check = unwatched) -> SimulatedLatent:
        start = _start(task, latent)
        if task.start <= 0 or task.steps <= 0:
            return start.latent(start.clips, start.origin, start.words)
        walk = _Walk(task, latent, start, check)
        final = walk.final()
        noise = _noise(task.seed, *start.size)
        noisy = blend(start.clips[0, 0], noise, min(1.0, task.start))
        way = max(0.0, 1 - task.end / task.start)
        for step in range(1, task.steps + 1):
            on_step(step, _preview(noisy, final[0, 0], way * step / task.steps))
        if task.end <= 0:
            return start.latent(final, walk.origin, walk.wish.words)
        left = np.stack([[blend(picture, noise, task.end) for picture in frames] for frames in final])
        return start.latent(left, walk.origin, walk.wish.words, clean=final)


@dataclass(frozen=True, slots=True)
class _Start:
    """What a walk starts from: the pictures of the latent as clips [B,F,H,W,3], and how they came about."""

    clips: Bytes = field(repr=False)
    grid: Grid
    origin: str
    words: str

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.clips.shape[2:4]
        return height, width

    def latent(self, clips: Bytes, origin: str, words: str, clean: Bytes | None = None) -> SimulatedLatent:
        """The latent of these clips, in the form of the one that was given."""
        flat, rest = (
            one if one is None else one.reshape(-1, *one.shape[2:]) for one in (np.ascontiguousarray(clips), clean)
        )
        assert flat is not None
        return latents.latent_of(flat, self.grid, len(clips), origin=origin, words=words, clean=rest)


def _start(task: Task, latent: Latent) -> _Start:
    carried = latents.carried_by(latent)
    pictures = latents.decode(latents.clean_part(latent))
    count = np.shape(latent["samples"])[0]
    grid = latents.grid_by(latent)
    moves = task.model.family.moves or any(part.kind == "motion" for part in task.model.parts)
    clips = 1 if moves and not grid.stride else count
    shaped = pictures.reshape(clips, -1, *pictures.shape[1:])
    return _Start(shaped, grid, carried.origin if carried else "", carried.words if carried else "")


class _Walk:
    """One task on one latent: where it ends when all noise is gone."""

    def __init__(self, task: Task, latent: Latent, start: _Start, check: Check) -> None:
        self._task = task
        self._latent = latent
        self._start = start
        self._check = check
        self.wish = read_wish(task.positive, start.size, task.start, task.end)
        given = bool(start.origin) and (task.seed is None or task.start < 1)
        self._goes_on = given and (task.seed is None or read(self.wish.words).text == read(start.words).text)
        """The same words over a picture of this model: its composition stays (second passes, refiners)."""
        self.origin = start.origin if self._goes_on else str(task.seed)

    def final(self) -> Bytes:
        """The clips [B,F,H,W,3] without noise."""
        clips = self._start.clips
        indices = self._latent.get("batch_index")
        known = indices is not None and len(indices) == len(clips)
        numbers = [int(index) for index in indices] if known and indices is not None else range(len(clips))
        made = np.empty(clips.shape, np.uint8)
        for place, (frames, number) in enumerate(zip(clips, numbers, strict=True)):
            self._check()
            self._draw_clip(made[place], frames, number)
        return self._inside_mask(made)

    def _draw_clip(self, made: Bytes, given: Bytes, number: int) -> None:
        seed = f"{self.origin}/{number}"
        scene = self._scene(seed, given[0])
        colours = palette(scene)
        keys = self._keys(scene, colours, len(given), seed)
        if len(given) == 1:
            picture = next(iter(keys.values()), scene)
            made[0] = self._from_start(self._controlled(picture, number, colours), given[0], colours)
            return
        frames: Iterator[Bytes]
        if self._task.start < 1 and not keys and not self._goes_on:
            frames = (scene for _ in given)
        else:
            reading = read(self.wish.words)
            drifts = keys if names_colours(reading) else {}
            later = {
                mark: blend(key, edited(key, reading, colours, generator("edit", seed)), DRIFT_SHARE)
                for mark, key in drifts.items()
            }
            frames = clip(keys or {0: scene}, later, len(given), self._camera(seed))
        for index, frame in enumerate(frames):
            self._check()
            made[index] = self._from_start(self._controlled(frame, index, colours), given[index], colours)

    def _scene(self, seed: str, given: Bytes) -> Bytes:
        """What the words name: in the whole picture, or when most of a picture stays, in the part that may change."""
        height, width = self._start.size
        hole = None if self._goes_on else self._hole()
        if hole is None:
            return draw(self._task, self.wish, seed, width, height)
        rows, columns = hole
        scene = np.array(given)
        scene[hole] = draw(self._task, self.wish, seed, columns.stop - columns.start, rows.stop - rows.start)
        return scene

    def _hole(self) -> tuple[slice, slice] | None:
        """Rows and columns of the part that a mask lets change, None when that is nearly all or nearly nothing."""
        mask = self._mask()[1]
        if mask is None:
            return None
        open_ = mask.max(axis=0) > OPEN_LEVEL
        height, width = self._start.size
        sides = []
        for axis, size in ((1, height), (0, width)):
            places = np.flatnonzero(open_.any(axis=axis))
            if not len(places):
                return None
            scale = size / open_.shape[1 - axis]
            sides.append(slice(int(places[0] * scale), max(1, round((places[-1] + 1) * scale))))
        rows, columns = sides
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        whole = tall * wide > MOST_HOLE * height * width
        return None if whole or min(tall, wide) < LEAST_HOLE else (rows, columns)

    def _mask(self) -> tuple[Bytes, Bytes | None]:
        """The pictures that stay outside the mask, and the mask [M,h,w]; None when everything may change."""
        clips = self._start.clips
        kept, mask = clips.reshape(-1, *clips.shape[2:]), self._latent.get("noise_mask")
        if mask is None and self.wish.inpaint is not None:
            kept, mask = self.wish.inpaint
        if mask is None or max(np.shape(mask)[-2:]) == 1:
            return kept, None
        return kept, rounded_bytes(np.asarray(mask, np.float32).reshape(-1, *np.shape(mask)[-2:]))

    def _keys(self, scene: Bytes, colours: Bytes, length: int, seed: str) -> dict[int, Bytes]:
        """Given frames by number, else an edited reference as the first."""
        height, width = self._start.size
        given: Mapping[int, Bytes] = {**self.wish.keyframes, **self._latent.get(KEYFRAMES, {})}
        keys = {
            max(0, min(length - 1, number + length if number < 0 else number)): resized(picture, width, height)
            for number, picture in given.items()
        }
        if keys or not self.wish.references:
            return keys
        first = resized(self.wish.references[0], width, height)
        shown = edited(first, read(self.wish.words), colours, generator("edit", seed))
        for other in self.wish.references[1:]:
            shown = _beside(shown, other)
        return {0: shown}

    def _camera(self, seed: str) -> Camera:
        added = " ".join(part.name for part in self._task.model.parts if part.kind == "camera")
        return camera_for(f"{self.wish.camera} {added} {self.wish.words}", generator("camera", seed))

    def _controlled(self, picture: Bytes, number: int, colours: Bytes) -> Bytes:
        for control in (*self.wish.controls, *self._task.model.controls):
            strength = control.strength * self._in_force(control)
            hint = control.pictures[min(number, len(control.pictures) - 1)]
            picture = following(picture, hint, strength, colours)
        return picture

    def _in_force(self, control: Control) -> float:
        """How much of a control acts on this way; the early half of a way decides most of a picture."""
        task = self._task
        met = min(control.end, 1 - task.end) - max(control.start, 1 - task.start)
        way = max(task.start - task.end, 1e-6)
        return max(0.0, min(1.0, 1.5 * met / way))

    def _from_start(self, picture: Bytes, given: Bytes, colours: Bytes) -> Bytes:
        """As much of the given picture as the denoise leaves."""
        share = self._task.start
        if share >= 1:
            return picture
        if self._goes_on:
            return blend(given, picture, 1.6 * share)
        toned = blend(given, recoloured(given, colours), 0.8 * min(1.0, 1.4 * share))
        coming = max(0.0, share - KEEPS_ALL) / (1 - KEEPS_ALL)
        return blend(toned, picture, coming**1.5)

    def _inside_mask(self, clips: Bytes) -> Bytes:
        """Inpainting: only where the mask is 1 may the pictures change."""
        kept, masks = self._mask()
        if masks is None:
            return clips
        flat = clips.reshape(-1, *clips.shape[2:])
        for index, new in enumerate(flat):
            self._check()
            old = resized(kept[min(index, len(kept) - 1)], new.shape[1], new.shape[0])
            flat[index] = _composed(new, old, masks[min(index, len(masks) - 1)])
        return flat.reshape(clips.shape)


def _composed(new: Bytes, old: Bytes, mask: Bytes) -> Bytes:
    size = (new.shape[1], new.shape[0])
    share = Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(Image.composite(Image.fromarray(new), Image.fromarray(old), share), np.uint8)


def _beside(picture: Bytes, other: Bytes) -> Bytes:
    """A further reference in the lower right third of the picture."""
    height, width = picture.shape[0] * 2 // 5, picture.shape[1] * 2 // 5
    result = picture.copy()
    result[-height:, -width:] = resized(other, width, height)
    return result


def _noise(seed: int | None, height: int, width: int) -> Bytes:
    """Coarse coloured noise."""
    cells = generator("noise", seed).integers(
        0, 256, (max(height // NOISE_CELL, 1), max(width // NOISE_CELL, 1), 3), dtype=np.uint8
    )
    return resized(cells, width, height)


def _preview(noisy: Bytes, final: Bytes, done: float) -> Preview:
    def make(longest: int) -> Image.Image:
        height, width = final.shape[:2]
        scale = min(1.0, longest / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        first, last = (Image.fromarray(one).resize(size, Image.Resampling.BOX) for one in (noisy, final))
        return Image.blend(first, last, done * (2 - done))

    return make
