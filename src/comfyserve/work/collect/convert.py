"""Convert pictures as `convert_output` asks, each in a process of its own, a bounded number at once.

Why a process: the bytes come from an engine that runs other people's nodes, and a decoder that hangs or crashes in a
thread would take the worker with it. To start one costs more than a small picture, so the next pictures, one by one, go
to the same process as long as all goes well.
"""

import asyncio
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog

from comfyserve.core.conversion import Conversion
from comfyserve.work.collect.process import THREADS, ConverterProcess, Crashed
from comfyserve.work.collect.savers import saver_for
from comfyserve.work.collect.turns import Turns

log = structlog.get_logger(__name__)

NEEDS_IMAGES = "Converting pictures needs the extra `images`: run `pip install 'comfyserve[images]'` on the server."

STALE_SECONDS = 24 * 3600
"""Pictures on their way that are older were left by a process that died; the next start removes them."""


class NotConverted(Exception):
    """The picture stays as it is; the sentence says why."""


@dataclass(frozen=True)
class ConvertLimits:
    """Bounds of one conversion. `pixels` counts those of all frames. `memory_bytes` is address space.

    A process converts `pictures` before another takes its place, so that what it may leak is bounded; it ends before
    when no picture comes for `idle_seconds`."""

    at_once: int = 2
    pictures: int = 200
    idle_seconds: float = 300.0
    seconds: float = 120.0
    pixels: int = 0x3FFF * 0x3FFF
    memory_bytes: int = 4 * 1024**3
    output_bytes: int = 4 * 1024**3


def conversion_available() -> bool:
    """Whether this installation can convert pictures at all; NEEDS_IMAGES says what to do when it cannot."""
    return find_spec("pyvips") is not None


class Converter:
    """Runs conversions, `limits.at_once` of them at the same time. Pictures on their way lie below `folder`."""

    def __init__(self, folder: Path, limits: ConvertLimits | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, time.time() - STALE_SECONDS)
        self.folder = folder
        self._limits = limits or ConvertLimits()
        self._turns = Turns(self._limits.at_once)
        self._idle: dict[ConverterProcess, asyncio.TimerHandle] = {}

    async def convert(self, source: Path, target: Path, conversion: Conversion, key: str = "") -> None:
        """Write the converted picture to `target`. Raises NotConverted; of no use is what lies at `target` then.

        Those of different `key`s go in turn. A picture that moves keeps moving where the format can (webp), else it is
        not converted.
        """
        if not conversion_available():
            raise NotConverted("the extra `images` is not installed on its worker")
        async with self._turns.take(key):
            error = await self._convert(self._order(source, target, conversion))
        if error:
            raise NotConverted(error)

    async def close(self) -> None:
        """End the processes that wait for pictures; should one come, another is started."""
        while self._idle:
            await self._wake().end()

    async def _convert(self, order: dict[str, Any]) -> str:
        """Why it could not be converted, or nothing."""
        if self._idle:
            with suppress(Crashed):  # perhaps not of this picture: a fresh one will tell
                return await self._ask(self._wake(), order)
        try:
            return await self._ask(await ConverterProcess.start(), order)
        except Crashed as crash:
            log.warning("conversion_crashed", code=crash.code, told=crash.told)
            return "the converter crashed on it, or it needs too much memory"

    async def _ask(self, process: ConverterProcess, order: dict[str, Any]) -> str:
        """The same, by one process, which is not asked again when it could not. Raises Crashed."""
        error = "the conversion was given up"
        try:
            async with asyncio.timeout(self._limits.seconds):
                error = await process.obey(order)
        except TimeoutError:
            return f"it took longer than {self._limits.seconds:g} s"
        finally:
            if error or process.pictures >= self._limits.pictures:
                await process.end()
            else:
                self._rest(process)
        return error

    def _order(self, source: Path, target: Path, conversion: Conversion) -> dict[str, Any]:
        limits = self._limits
        return asdict(saver_for(conversion)) | {
            "source": str(source),
            "target": str(target),
            "pixels": limits.pixels,
            "memory_bytes": limits.memory_bytes,
            "output_bytes": limits.output_bytes,
            "processor_seconds": int(limits.seconds * THREADS) + 1,
        }

    def _wake(self) -> ConverterProcess:
        """The process that waits for the shortest time, so that those which are not needed end."""
        process, timer = self._idle.popitem()
        timer.cancel()
        return process

    def _rest(self, process: ConverterProcess) -> None:
        """Keep a process for the next picture, but not for ever."""

        def dismiss() -> None:
            del self._idle[process]
            process.dismiss()

        self._idle[process] = asyncio.get_running_loop().call_later(self._limits.idle_seconds, dismiss)


def _sweep(folder: Path, before: float) -> None:
    for left in folder.iterdir():
        with suppress(OSError):
            if left.stat().st_mtime < before:
                shutil.rmtree(left)
