"""Run a command to its end: lines passed on as they come, a bound on time, nothing of it left behind."""

import asyncio
import shutil
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

OnLine = Callable[[str], None]

REAPER = Path(__file__).with_name("reaper.py")

KEPT_LINES = 30
LONGEST_LINE = 1000
READ_BYTES = 8192


class CommandFailed(Exception):
    """It could not be started, ended with another code than 0, or took too long; `lines` are the last it said."""

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.lines = lines


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    seconds: float,
    on_line: OnLine = lambda line: None,
    folder: Path | None = None,
) -> list[str]:
    """The last lines that the command said, both streams together. It gets no input, so it can ask nothing.

    Raises CommandFailed. However this ends, also by a cancel or by our own death, everything it started is gone.
    """
    name = Path(command[0]).name
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        raise CommandFailed(f"{name} cannot be started: there is no such program")
    line = _Line()
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        process = await line.spawn(command, environment, folder)
        async with asyncio.timeout(seconds):
            await _read(process, lines.append, on_line)
            await process.wait()
    except TimeoutError:
        raise CommandFailed(f"{name} took longer than {seconds:g} s and was ended", list(lines)) from None
    except OSError as error:
        raise CommandFailed(f"{name} cannot be started: {error.strerror}") from error
    finally:
        await line.end()
    if process.returncode and not line.left_something:
        raise CommandFailed(f"{name} ended with code {process.returncode}", list(lines))
    return list(lines)


class _Line:
    """Our end of the reaper's socket: closing it ends the command and everything it started."""

    def __init__(self) -> None:
        self.left_something = False
        """The command ended well, and something that it started did not; that was ended."""
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._process: Process | None = None
        self._told: asyncio.Task[None] | None = None

    async def spawn(self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None) -> Process:
        """Start the command behind a reaper. Raises OSError."""
        with self._theirs:
            starting = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", str(REAPER), *command),
                    env=environment,
                    cwd=folder,
                    stdin=self._theirs.fileno(),
                    stdout=PIPE,
                    stderr=STDOUT,
                    start_new_session=True,
                )
            )
            try:
                self._process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # asyncio would kill the reaper alone, and leave what it had started already.
                self._process = await starting
                raise
        self._told = asyncio.create_task(self._hear())
        return self._process

    async def end(self) -> None:
        """Leave nothing running."""
        if self._told is not None:
            self._told.cancel()
        self._close()
        if self._process is not None:
            await asyncio.shield(self._process.wait())

    async def _hear(self) -> None:
        """The reaper's lines: the process id of the command, then perhaps a 0: it ended and left something."""
        loop, rest = asyncio.get_running_loop(), b""
        with suppress(OSError):
            while told := await loop.sock_recv(self._ours, 64):
                *lines, rest = (rest + told).split(b"\n")
                if b"0" in lines:
                    self.left_something = True
                    self._close()
                    return

    def _close(self) -> None:
        if self._ours.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._ours)  # before another socket gets this number
            self._ours.close()


async def _read(process: Process, *tell: OnLine) -> None:
    """Whole lines, stripped; a longer one than that is cut into several. A bar that is drawn anew ends a line, too."""
    assert process.stdout is not None
    rest = b""
    while chunk := await process.stdout.read(READ_BYTES):
        *whole, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        if len(rest) > LONGEST_LINE:
            whole, rest = [*whole, rest], b""
        _tell(whole, tell)
    _tell([rest], tell)


def _tell(lines: Sequence[bytes], tell: Sequence[OnLine]) -> None:
    for line in lines:
        if text := line.decode(errors="replace").strip()[:LONGEST_LINE]:
            for on_line in tell:
                on_line(text)
