"""The names of samplers and schedulers, from the engine's own KSampler node."""

from __future__ import annotations

from typing import Any, ClassVar, Final, NoReturn

from comfyserve.embedded.packs.host import engine, needs_torch


def _choices(name: str) -> list[str]:
    declared = engine().catalogue["KSampler"].schema().find(name)
    return list(declared.choices or []) if declared is not None else []


SAMPLER_NAMES: Final = _choices("sampler_name")
SCHEDULER_NAMES: Final = _choices("scheduler")
KSAMPLER_NAMES: Final = [name for name in SAMPLER_NAMES if name not in ("ddim", "uni_pc", "uni_pc_bh2")]
SCHEDULER_HANDLERS: Final[dict[str, Any]] = dict.fromkeys(SCHEDULER_NAMES)


class KSampler:
    """The lists that nodes offer; sampling itself is what the engine's KSampler node does."""

    SCHEDULERS: ClassVar[list[str]] = SCHEDULER_NAMES
    SAMPLERS: ClassVar[list[str]] = SAMPLER_NAMES
    DISCARD_PENULTIMATE_SIGMA_SAMPLERS: ClassVar[set[str]] = {"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"}

    def __init__(self, *_: object, **__: object) -> None:
        needs_torch("comfy.samplers.KSampler")


def sample(*_: object, **__: object) -> NoReturn:
    """Raises NeedsTorch."""
    needs_torch("comfy.samplers.sample")


def sampler_object(name: str) -> NoReturn:
    """Raises NeedsTorch."""
    needs_torch("comfy.samplers.sampler_object")


def calculate_sigmas(model_sampling: object, scheduler_name: str, steps: int) -> NoReturn:
    """Raises NeedsTorch."""
    needs_torch("comfy.samplers.calculate_sigmas")
