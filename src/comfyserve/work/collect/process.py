"""A process that converts pictures, one at a time, for as long as it is wanted (its program is pixels.py)."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from comfyserve.interpreter import packages_variables

SCRIPT = Path(__file__).with_name("pixels.py")
INHERITED = ("HOME", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
"""All that the process sees of our environment."""

THREADS = 2
"""Threads of libvips in one process."""

MAX_ANSWER = 4096
"""Bytes of an answer, and of what is kept of standard error."""


class Crashed(Exception):
    """The process has ended, or speaks no sense; `code` and `told` are its exit code and its last words."""

    def __init__(self, code: int | None, told: str) -> None:
        super().__init__(f"the converter crashed: {code}")
        self.code = code
        self.told = told


class ConverterProcess:
    """One such process. It ends when its standard input ends, so also when this process is killed."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self.pictures = 0
        self._process = process
        self._orders, self._answers = process.stdin, process.stdout
        self._told = asyncio.create_task(_tail(process.stderr))

    @classmethod
    async def start(cls) -> Self:
        """A fresh one; it imports what it needs while its first order is on the way."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(SCRIPT)),
            cwd="/",
            env=_environment(),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=MAX_ANSWER,
        )
        return cls(process)

    async def obey(self, order: Mapping[str, Any]) -> str:
        """Have it convert a picture; why it could not, or nothing. Raises Crashed."""
        self.pictures += 1
        self._orders.write(json.dumps(order).encode() + b"\n")
        try:
            return str(json.loads(await self._answers.readline()).get("error", ""))
        except (ValueError, AttributeError) as error:  # no line, one that is too long, or no object
            await self.end()
            raise Crashed(self._process.returncode, await self._told) from error

    def dismiss(self) -> None:
        """Let it end by itself; it has nothing to do."""
        self._orders.close()

    async def end(self) -> None:
        """End it now."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._orders.close()


async def _tail(stream: asyncio.StreamReader) -> str:
    """The last of all that comes; the rest is let go."""
    tail = b""
    while chunk := await stream.read(MAX_ANSWER):
        tail = (tail + chunk)[-MAX_ANSWER:]
    return tail.decode(errors="replace")


def _environment() -> dict[str, str]:
    """Only what starting needs; libvips refuses the loaders that its authors do not trust with such bytes."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    kept |= packages_variables(kept)
    return kept | {"VIPS_BLOCK_UNTRUSTED": "1", "VIPS_CONCURRENCY": str(THREADS), "PYTHONUNBUFFERED": "1"}
