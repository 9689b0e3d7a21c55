"""The command line as a user calls it: a process with an environment and a folder of its own."""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, read as the one JSON document that it has to be."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """A folder to work in, and the COMFYSERVE_ variables that hold there."""

    folder: Path
    variables: dict[str, str]

    async def start(self, *arguments: str, **variables: str) -> Process:
        """Start a command; the caller waits for its end."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMFYSERVE_")}
        environment |= {"TMPDIR": str(self.temporary)} | self.variables | variables
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "comfyserve", *arguments),
            cwd=self.folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )

    async def __call__(self, *arguments: str, **variables: str) -> Ended:
        """Run a command to its end."""
        return await ended(await self.start(*arguments, **variables))

    @property
    def temporary(self) -> Path:
        """Where its commands put temporary files."""
        path = self.folder / "tmp"
        path.mkdir(exist_ok=True)
        return path

    def file(self, name: str, content: Any) -> str:
        """Write a file, JSON unless it is text, and say its name."""
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text)
        return name


async def ended(process: Process) -> Ended:
    """The end of a command; one that takes too long is killed."""
    try:
        out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
