"""The engine that the modules of `comfy_modules` speak for: one at a time in a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from comfyserve.embedded.engine import Engine

_attached: list[Engine] = []


class NeedsTorch(RuntimeError):
    """Something that only a ComfyUI with torch can do."""


def attach(engine: Engine) -> None:
    """Make this the engine behind the modules."""
    _attached[:] = [engine]


def engine() -> Engine:
    """The engine of this process. RuntimeError before packs are loaded."""
    if not _attached:
        raise RuntimeError("No engine is running: ComfyUI's modules work only inside of one.")
    return _attached[0]


def needs_torch(name: str) -> NoReturn:
    """Raises NeedsTorch for a function of ComfyUI that this engine does not have."""
    raise NeedsTorch(f"{name} needs torch, which the embedded engine does not have: use a real ComfyUI.")
