"""What an attempt holds while it lasts."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from comfyserve.core.outputs import EngineFile
from comfyserve.work.stage.reports import Reports


@dataclass(frozen=True)
class Holding:
    """`files` are those that the engine was given, also when the staging fails. `pins` keeps models safe from eviction
    until whoever holds it closes it. `reports` is told of downloads."""

    files: list[EngineFile] = field(default_factory=list)
    pins: AsyncExitStack = field(default_factory=AsyncExitStack)
    reports: Reports | None = None
