"""What an attempt holds while it lasts."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from comfyserve.core.outputs import EngineFile
from comfyserve.work.stage.reports import Reports


def nobody() -> None:
    """For whom it does not interest that a model keeps arriving."""


@dataclass
class Holding:
    """`files` are those that the engine was given, also when the staging fails. `pins` keeps models safe from eviction
    until whoever holds it closes it. `reports` is told of downloads; `arriving` is called while a model comes."""

    files: list[EngineFile] = field(default_factory=list)
    pins: AsyncExitStack = field(default_factory=AsyncExitStack)
    reports: Reports | None = None
    arriving: Callable[[], None] = nobody
