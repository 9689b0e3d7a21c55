"""One life of an engine process, from the spawn to the end of its last descendant."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from comfyserve.core.errors import EngineLost
from comfyserve.engines.launch import PORT, Launch, environment, free_port
from comfyserve.engines.output import Output

REAPER = Path(__file__).with_name("reaper.py")
DRAIN_SECONDS = 0.5
KILL_SECONDS = 10.0


class Child:
    """A running engine behind its reaper. Closing our end of the socket kills everything below it."""

    def __init__(
        self, process: asyncio.subprocess.Process, line: socket.socket, printed: BinaryIO, output: Output, url: str
    ) -> None:
        self.url = url
        self.output = output
        self.pid: int | None = None
        """The process id of the engine, once the reaper told it; it leads a process group of its own."""
        self._process = process
        self._line = line
        self._drain = asyncio.create_task(_drain(printed, output))
        self._told = asyncio.create_task(self._hear())
        self.ended = asyncio.create_task(self._end())

    @classmethod
    async def spawn(cls, launch: Launch) -> "Child":
        """Start the command on a fresh port. Raises EngineLost when it cannot be started."""
        port = free_port(launch.host)
        command = [part.replace(PORT, str(port)) for part in launch.command]
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe()
        printed = os.fdopen(read_end, "rb", buffering=0)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(REAPER), *command),
                stdin=theirs.fileno(),
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                cwd=launch.cwd,
                env=environment(os.environ, launch.env),
                start_new_session=True,
            )
        except BaseException as error:
            ours.close()
            printed.close()
            if isinstance(error, OSError):
                raise EngineLost(f"The {launch.name} cannot be started: {error}") from error
            raise
        finally:
            theirs.close()
            os.close(write_end)
        ours.setblocking(False)
        return cls(process, ours, printed, Output(launch.name), f"http://{launch.host}:{port}")

    def kill(self) -> None:
        """End it and everything it started, at once."""
        self._told.cancel()
        if self._line.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._line)  # before another socket gets this number
            self._line.close()

    async def stop(self, seconds: float) -> None:
        """Ask it to end, and end it after so many seconds."""
        try:
            if not self.ended.done():
                with suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGTERM)
                await asyncio.wait({self.ended}, timeout=seconds)
        finally:
            self.kill()
        await asyncio.wait({self.ended}, timeout=KILL_SECONDS)

    async def _hear(self) -> None:
        with suppress(OSError):
            told = await asyncio.get_running_loop().sock_recv(self._line, 64)
            self.pid = int(told) if told.strip().isdigit() else None

    async def _end(self) -> int:
        code = await self._process.wait()
        if code < 0 and self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.kill()
        await asyncio.wait({self._drain}, timeout=DRAIN_SECONDS)
        self._drain.cancel()
        return code


async def _drain(printed: BinaryIO, output: Output) -> None:
    """Read what is printed through a pipe of our own: with asyncio's, `wait` would last until the last holder of the
    pipe ends, and that can be a survivor."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), printed
    )
    try:
        await output.drain(reader)
    finally:
        transport.close()
