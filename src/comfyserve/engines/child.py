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
from comfyserve.engines.launch import Launch, environment, free_port
from comfyserve.engines.output import Output
from comfyserve.engines.ownership import strangers

REAPER = Path(__file__).with_name("reaper.py")
DRAIN_SECONDS = 0.5
KILL_SECONDS = 10.0
LOOK_SECONDS = 1.0
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Where an engine that listens everywhere is reached."""


class Child:
    """A running engine behind its reaper. Closing our end of the socket kills everything below it."""

    def __init__(
        self, process: asyncio.subprocess.Process, line: socket.socket, printed: BinaryIO, output: Output, url: str
    ) -> None:
        self.url = url
        self.output = output
        self.pid: int | None = None
        """The process id of the engine, once the reaper told it; it leads a process group of its own."""
        self._settled = False
        self._left = False
        self._process = process
        self._line = line
        self._drain = asyncio.create_task(_drain(printed, output))
        self._told = asyncio.create_task(self._hear())
        self.ended = asyncio.create_task(self._end())

    @classmethod
    async def spawn(cls, launch: Launch) -> "Child":
        """Start the command. Raises EngineLost when it cannot be started, or somebody else has its port."""
        port = free_port(launch.host) if launch.chooses_port else launch.port
        host = HERE.get(launch.host, launch.host)
        if not launch.chooses_port and await _is_taken(host, port):
            raise EngineLost(_taken(launch.name, port, "another program"))
        command = launch.words(port)
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
                env=environment(os.environ, launch.variables(port)),
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
        return cls(process, ours, printed, Output(launch.name, loud=launch.loud), _url(host, port))

    def kill(self) -> None:
        """End it and everything it started, at once."""
        self._told.cancel()
        if self._line.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._line)  # before another socket gets this number
            self._line.close()

    def settle(self) -> None:
        """The engine answers, or should end: from now on the end of the command is the end of all that it started. A
        start script that ended before has left the engine in the background, which is then what runs."""
        self._settled = True

    async def stranger(self) -> str:
        """The name of a program that is not ours and has the port; empty when there is none that we can see."""
        port = int(self.url.rpartition(":")[2])
        found = await asyncio.to_thread(strangers, port, self._process.pid)
        return ", ".join(found)

    async def stop(self, seconds: float) -> None:
        """Ask it to end, and end it after so many seconds."""
        self.settle()
        try:
            if not self.ended.done():
                with suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGTERM)
                await asyncio.wait({self.ended}, timeout=seconds)
        finally:
            self.kill()
        await asyncio.wait({self.ended}, timeout=KILL_SECONDS)

    async def _hear(self) -> None:
        """The reaper's lines: the engine's process id, then perhaps a 0: the command ended and left something."""
        loop, rest = asyncio.get_running_loop(), b""
        with suppress(OSError):
            while told := await loop.sock_recv(self._line, 64):
                *lines, rest = (rest + told).split(b"\n")
                for number in map(int, lines):
                    self._learn(number)

    def _learn(self, number: int) -> None:
        if number:
            self.pid = number
            return
        if self._settled:
            self._left = True
            self.kill()

    async def _end(self) -> int:
        code = await self._process.wait()
        if code < 0 and self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.kill()
        await asyncio.wait({self._drain}, timeout=DRAIN_SECONDS)
        self._drain.cancel()
        return 0 if self._left else code


async def _is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there already."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _taken(name: str, port: int, by: str) -> str:
    return (
        f"The {name} cannot have port {port}: {by} listens there. Stop it, let the command take another port with "
        "{port} or COMFYUI_PORT_HOST, or use what listens there with COMFYSERVE_COMFY_URL."
    )


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
