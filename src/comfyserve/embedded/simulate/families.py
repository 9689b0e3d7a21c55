"""Which family a model file belongs to, read from its name, and its latents and noise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import exp
from typing import Final

from . import grid
from .grid import Grid
from .noise_scale import FINE_TIMES, NoiseScale

DISCRETE: Final = NoiseScale()


@dataclass(frozen=True, slots=True)
class Family:
    """What the nodes need to know of a family: its name, its latents and how noise is counted."""

    name: str
    grid: Grid = grid.SD
    noise: NoiseScale = DISCRETE
    moves: bool = False
    """A batch of its pictures is a clip (SVD)."""


def _flow(shift: float) -> NoiseScale:
    return NoiseScale("flow", shift)


def fine_flow(power: float) -> NoiseScale:
    """The scale of Flux and its like; `power` is the logarithm of the shift."""
    return NoiseScale("flow", exp(power), times=FINE_TIMES)


# The first row whose words occur in the file name wins; numbers are the families' published sampling settings.
FAMILIES: Final[tuple[tuple[str, Family], ...]] = (
    (r"stable.?audio", Family("stable_audio", noise=NoiseScale("log", low=0.03, high=500.0))),
    (r"ace.?step", Family("ace", noise=_flow(3.0))),
    (r"svd|sv3d", Family("svd", noise=NoiseScale("log", low=0.002, high=700.0), moves=True)),
    (r"wan.?2.?2.?(?:vae|ti2v)|ti2v.?5b", Family("wan22", grid.WAN22, _flow(8.0))),
    (r"qwen.?image|qwen_2.5_vl", Family("qwen_image", grid.VIDEO, fine_flow(1.15))),
    (r"\bwan|wan[_\d]|vace|humo|fun_?(?:control|inp)", Family("wan", grid.VIDEO, _flow(8.0))),
    (r"ltx", Family("ltxv", grid.LTXV, fine_flow(2.37))),
    (r"mochi", Family("mochi", grid.MOCHI, _flow(6.0))),
    (r"cosmos.?predict2", Family("cosmos2", grid.VIDEO, NoiseScale("log", low=0.002, high=80.0))),
    (r"cosmos", Family("cosmos", grid.COSMOS, NoiseScale("log", low=0.002, high=80.0))),
    (r"hunyuan.?image", Family("hunyuan_image", grid.HUNYUAN_IMAGE, _flow(5.0))),
    (r"hunyuan.?3d", Family("hunyuan3d", noise=_flow(1.0))),
    (r"hunyuan.?dit", Family("hunyuan_dit")),
    (r"hunyuan|framepack", Family("hunyuan_video", grid.VIDEO, _flow(7.0))),
    (r"cogvideo", Family("cogvideo", grid.VIDEO)),
    (r"cascade.*stage.?c|stage.?c", Family("cascade_c", grid.CASCADE_C, _flow(2.0))),
    (r"cascade|stage.?[ab]", Family("cascade_b", grid.CASCADE_B, _flow(1.0))),
    (r"chroma.*radiance", Family("chroma_radiance", grid.PIXEL, _flow(1.0))),
    (r"chroma", Family("chroma", grid.SD3, _flow(1.0))),
    (r"flux.*schnell", Family("flux_schnell", grid.SD3, _flow(1.0))),
    (r"flux|^ae\.|kontext", Family("flux", grid.SD3, fine_flow(1.15))),
    (r"sd3|stable.?diffusion.?3", Family("sd3", grid.SD3, _flow(3.0))),
    (r"hidream", Family("hidream", grid.SD3, _flow(3.0))),
    (r"aura", Family("auraflow", noise=_flow(1.73))),
    (r"lumina|omnigen|z.?image", Family("lumina2", grid.SD3, _flow(6.0))),
    (r"x4.?upscaler", Family("sd_x4", grid.X4_UPSCALER)),
    (r"xl", Family("sdxl")),
    (r"", Family("sd")),
)


def family_of(file: str) -> Family:
    """The family of a model file; Stable Diffusion when the name says nothing."""
    name = file.rsplit("/", 1)[-1].lower()
    return next(family for words, family in FAMILIES if re.search(words, name))
