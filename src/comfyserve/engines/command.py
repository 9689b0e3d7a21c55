"""Run a command to its end: lines passed on as they come, a bound on time, nothing of it left behind."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

OnLine = Callable[[str], None]

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

    Raises CommandFailed. However this ends, also by a cancel, every process of its group is gone.
    """
    name = Path(command[0]).name
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
    except OSError as error:
        raise CommandFailed(f"{name} cannot be started: {error.strerror}") from error
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        async with asyncio.timeout(seconds):
            await _read(process, lines.append, on_line)
            await process.wait()
    except TimeoutError:
        raise CommandFailed(f"{name} took longer than {seconds:g} s and was ended", list(lines)) from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if process.returncode:
        raise CommandFailed(f"{name} ended with code {process.returncode}", list(lines))
    return list(lines)


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
