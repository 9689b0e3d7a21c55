"""The shapes of latents: how many pixels and frames one place of a latent stands for (protocol spec 14)."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A place stands for `cell` x `cell` pixels.

    With a `stride`, latents are clips [B,C,T,h,w] of 1 + (T-1)*stride frames; without (0), pictures [B,C,h,w].
    """

    cell: int = 8
    channels: int = 4
    stride: int = 0

    def shape(self, width: int, height: int, batch: int = 1, length: int = 1) -> Shape:
        """The shape of `samples` for pictures of this size, or for clips of this many frames."""
        sides = (height // self.cell, width // self.cell)
        times = ((length - 1) // self.stride + 1,) if self.stride else ()
        return (batch, self.channels, *times, *sides)

    def frames(self, places: int) -> int:
        """Frames behind this many places of time; 1 for pictures."""
        return 1 + (places - 1) * self.stride if self.stride else 1


SD = Grid()
SD3 = Grid(channels=16)
PIXEL = Grid(cell=1, channels=3)
X4_UPSCALER = Grid(cell=4)
CASCADE_B = Grid(cell=4)
CASCADE_C = Grid(cell=42, channels=16)
HUNYUAN_IMAGE = Grid(cell=32, channels=64)
VIDEO = Grid(channels=16, stride=4)
"""Hunyuan Video, Wan 2.1, Cosmos Predict2, CogVideoX."""
WAN22 = Grid(cell=16, channels=48, stride=4)
LTXV = Grid(cell=32, channels=128, stride=8)
MOCHI = Grid(channels=12, stride=6)
COSMOS = Grid(channels=16, stride=8)

_PICTURES = {3: PIXEL, 4: SD, 16: SD3, 64: HUNYUAN_IMAGE}
_CLIPS = {12: MOCHI, 16: VIDEO, 48: WAN22, 128: LTXV}


def grid_of(shape: Shape) -> Grid:
    """The likeliest grid of a latent that does not say its own; ValueError for a shape that is no picture."""
    if len(shape) == 4:
        return _PICTURES.get(shape[1], Grid(channels=shape[1]))
    if len(shape) == 5:
        return _CLIPS.get(shape[1], Grid(channels=shape[1], stride=4))
    raise ValueError(f"The simulated model decodes latents [B,C,h,w] and clips [B,C,T,h,w]; got {tuple(shape)}.")
