"""Batches and lists of latents (protocol spec section 14: Latent nodes without a model)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from comfyserve.embedded.nodes.declare import LATENT, Family, choice, integer
from comfyserve.embedded.pixels.arrays import check_room, fit_batch
from comfyserve.embedded.pixels.latents import PIXELS, Latent, Samples, batch_of, carried_by_all, moved, samples_of
from comfyserve.embedded.simulate.latent import GRID

family = Family()

MODULE = "comfy_extras.nodes_latent"


@family.node(
    "LatentFromBatch",
    "nodes",
    "latent/batch",
    {"samples": LATENT, "batch_index": integer(0, 0, 63), "length": integer(1, 1, 64)},
    ("LATENT",),
    title="Latent From Batch",
)
def from_batch(samples: Latent, batch_index: int, length: int) -> Latent:
    """Up to `length` items from an index, which is kept inside the batch, with their masks and numbers."""
    cells = np.asarray(samples["samples"], np.float32)
    start = min(len(cells) - 1, batch_index)
    chosen = slice(start, start + length)
    part = dict(moved(samples, cells[chosen]))
    if "noise_mask" in samples and len(samples["noise_mask"]) > 1:
        part["noise_mask"] = fit_batch(samples["noise_mask"], max(len(cells), len(samples["noise_mask"])))[chosen]
    numbers = samples.get("batch_index", range(len(cells)))
    return part | {"batch_index": list(numbers)[chosen]}


@family.node(
    "RepeatLatentBatch",
    "nodes",
    "latent/batch",
    {"samples": LATENT, "amount": integer(1, 1, 64)},
    ("LATENT",),
    title="Repeat Latent Batch",
)
def repeat(samples: Latent, amount: int) -> Latent:
    """The whole batch, so many times; repeated numbers go on behind the largest."""
    cells = np.asarray(samples["samples"], np.float32)
    check_room((len(cells) * amount, *cells.shape[1:]))
    repeated = dict(moved(samples, np.concatenate([cells] * amount)))
    mask = samples.get("noise_mask")
    if mask is not None and len(mask) > 1:
        repeated["noise_mask"] = np.concatenate([mask] * amount)
    numbers = samples.get("batch_index")
    if numbers:
        step = max(numbers) - min(numbers) + 1
        repeated["batch_index"] = [number + turn * step for turn in range(amount) for number in numbers]
    return repeated


@family.node("LatentBatch", MODULE, "latent/batch", {"samples1": LATENT, "samples2": LATENT}, ("LATENT",), v3=True)
def batch(samples1: Latent, samples2: Latent) -> Latent:
    """Both one after the other, the second fitted to the size of the first."""
    return batch_of([samples1, samples2])


@family.node(
    "LatentBatchSeedBehavior",
    MODULE,
    "latent/advanced",
    {"samples": LATENT, "seed_behavior": choice("random", "fixed", default="fixed")},
    ("LATENT",),
    v3=True,
)
def seed_behavior(samples: Latent, seed_behavior: str) -> Latent:
    """ "fixed" gives every item the noise of the first one, "random" each its own."""
    kept = {key: value for key, value in samples.items() if key != "batch_index"}
    if seed_behavior == "fixed":
        kept["batch_index"] = [samples.get("batch_index", [0])[0]] * len(samples["samples"])
    return kept


@dataclass(frozen=True, slots=True)
class _Group:
    """Samples with a mask [B,1,H,W] and a number for each item."""

    samples: Samples
    mask: Samples
    numbers: list[int]

    def joined(self, other: _Group) -> _Group:
        return _Group(
            np.concatenate([self.samples, other.samples]),
            np.concatenate([self.mask, other.mask]),
            self.numbers + other.numbers,
        )

    def part(self, start: int, stop: int | None = None) -> _Group:
        chosen = slice(start, stop)
        return _Group(self.samples[chosen], self.mask[chosen], self.numbers[chosen])

    def fits(self, other: _Group) -> bool:
        return self.samples.shape[-2:] == other.samples.shape[-2:]


@family.node(
    "RebatchLatents",
    "comfy_extras.nodes_rebatch",
    "latent/batch",
    {"latents": LATENT, "batch_size": integer(1, 1, 4096)},
    ("LATENT",),
    title="Rebatch Latents",
    lists=(True,),
    takes_lists=True,
    v3=True,
)
def rebatch(latents: list[Latent], batch_size: list[int]) -> list[Latent]:
    """The items of the list regrouped to batches of one size; a change of picture size begins a new batch."""
    carried = carried_by_all(latents) | {key: value for key, value in latents[0].items() if key == GRID}
    return [carried | _latent(group) for group in _regrouped(latents, batch_size[0])]


def _regrouped(latents: list[Latent], size: int) -> Iterator[_Group]:
    current: _Group | None = None
    seen = 0
    for latent in latents:
        group = _group(latent, seen)
        seen += len(group.numbers)
        if current is not None and current.fits(group):
            group = current.joined(group)
        elif current is not None:
            yield current
        current = group
        # A full batch waits for the next latent: only what is more than one batch is cut off.
        if len(group.samples) > size:
            whole = len(group.samples) // size * size
            yield from (group.part(start, start + size) for start in range(0, whole, size))
            current = group.part(whole) if whole < len(group.samples) else None
    if current is not None:
        yield current


def _group(latent: Latent, seen: int) -> _Group:
    samples = samples_of(latent)
    height, width = samples.shape[-2] * PIXELS, samples.shape[-1] * PIXELS
    mask = latent.get("noise_mask")
    mask = np.ones((len(samples), 1, height, width), np.float32) if mask is None else np.asarray(mask, np.float32)
    numbers = latent.get("batch_index") or range(seen, seen + len(samples))
    return _Group(samples, mask if len(mask) >= len(samples) else fit_batch(mask, len(samples)), list(numbers))


def _latent(group: _Group) -> dict[str, Any]:
    made = {"samples": group.samples, "batch_index": group.numbers}
    # A mask that lets everything change is no mask.
    return made if group.mask.mean() == 1 else made | {"noise_mask": group.mask}
