"""The one interface between model nodes and a model: a real model can take the simulated one's place behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .grid import Grid
from .latent import Floats, SimulatedLatent
from .model import Conditioning, Latent, Model

if TYPE_CHECKING:
    from PIL.Image import Image

Preview = Callable[[int], "Image"]
OnStep = Callable[[int, Preview], None]
Check = Callable[[], None]


def unwatched() -> None:
    """A check that never ends the work."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a sampler is asked for.

    The way goes from `start` (1: nothing of the latent is kept) to `end` (above 0: noise is left over); without a
    `seed` no noise is added. `method` names sampler and scheduler.
    """

    model: Model
    positive: Conditioning
    negative: Conditioning
    seed: int | None
    steps: int = 20
    cfg: float = 8.0
    start: float = 1.0
    end: float = 0.0
    method: str = ""


class Sampler(Protocol):
    """Pictures are float32 [N,H,W,3] on 0..1 (clips frame by frame), latents ComfyUI's dictionaries."""

    def encode(self, pictures: Floats, grid: Grid) -> SimulatedLatent: ...

    def decode(self, latent: Latent) -> Floats: ...

    def sample(self, task: Task, latent: Latent, on_step: OnStep, check: Check = unwatched) -> SimulatedLatent:
        """Work through the steps; after each call `on_step(step, preview)`; `preview(longest side)` makes a picture.

        `check()` is called often between, and raises to end the work.
        """
        ...
