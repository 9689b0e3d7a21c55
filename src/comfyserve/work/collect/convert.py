"""Convert pictures as `convert_output` asks, each in a process of its own, a bounded number at once.

Why a process: the bytes come from an engine that runs other people's nodes, and a decoder that hangs or crashes in a
thread would take the worker with it. It costs some 60 ms, while the engine executes the next run.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import structlog

from comfyserve.core.conversion import Conversion
from comfyserve.interpreter import packages_variables
from comfyserve.work.collect.savers import saver_for
from comfyserve.work.collect.turns import Turns

log = structlog.get_logger(__name__)

SCRIPT = Path(__file__).with_name("pixels.py")
INHERITED = ("HOME", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
"""All that the process sees of our environment."""

THREADS = 2
"""Threads of libvips in one process."""

NEEDS_IMAGES = "Converting pictures needs the extra `images`: run `pip install 'comfyserve[images]'` on the server."
MAX_ANSWER = 4096

STALE_SECONDS = 24 * 3600
"""Pictures on their way that are older were left by a process that died; the next start removes them."""


class NotConverted(Exception):
    """The picture stays as it is; the sentence says why."""


@dataclass(frozen=True)
class ConvertLimits:
    """Bounds of one conversion. `pixels` counts those of all frames. `memory_bytes` is address space."""

    at_once: int = 2
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

    async def convert(self, source: Path, target: Path, conversion: Conversion, key: str = "") -> None:
        """Write the converted picture to `target`. Raises NotConverted; of no use is what lies at `target` then.

        Those of different `key`s go in turn. A picture that moves keeps moving where the format can (webp), else it is
        not converted.
        """
        if not conversion_available():
            raise NotConverted("the extra `images` is not installed on its worker")
        async with self._turns.take(key):
            await self._convert(source, target, conversion)

    async def _convert(self, source: Path, target: Path, conversion: Conversion) -> None:
        limits = self._limits
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(SCRIPT)), cwd="/", env=_environment(), stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        order = asdict(saver_for(conversion)) | {
            "source": str(source),
            "target": str(target),
            "pixels": limits.pixels,
            "memory_bytes": limits.memory_bytes,
            "output_bytes": limits.output_bytes,
            "processor_seconds": int(limits.seconds * THREADS) + 1,
        }
        try:
            async with asyncio.timeout(limits.seconds):
                answer, told = await _talk(process, json.dumps(order).encode() + b"\n")
        except TimeoutError:
            raise NotConverted(f"it took longer than {limits.seconds:g} s") from None
        finally:
            await _kill(process)
        if process.returncode != 0:
            log.warning("conversion_crashed", code=process.returncode, told=told)
            raise NotConverted("the converter crashed on it, or it needs too much memory")
        if error := json.loads(answer).get("error"):
            raise NotConverted(error)


async def _talk(process: Process, order: bytes) -> tuple[bytes, str]:
    """Give the order, keep standard input open (its end says that we are gone), and read what is said."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    process.stdin.write(order)
    answer, told = await asyncio.gather(_tail(process.stdout), _tail(process.stderr))
    await process.wait()
    return answer, told.decode(errors="replace")


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The last of all that comes; the rest is let go."""
    tail = b""
    while chunk := await stream.read(MAX_ANSWER):
        tail = (tail + chunk)[-MAX_ANSWER:]
    return tail


async def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _environment() -> dict[str, str]:
    """Only what starting needs; libvips refuses the loaders that its authors do not trust with such bytes."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    kept |= packages_variables(kept)
    return kept | {"VIPS_BLOCK_UNTRUSTED": "1", "VIPS_CONCURRENCY": str(THREADS), "PYTHONUNBUFFERED": "1"}


def _sweep(folder: Path, before: float) -> None:
    for left in folder.iterdir():
        with suppress(OSError):
            if left.stat().st_mtime < before:
                shutil.rmtree(left)
