"""Programs that fetch for us, in processes of their own: bounded in time, output and disk, ended with all they started.

Their network is our guarding proxy, which ends with us: a program that outlives us gets nothing more.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from comfyserve.core.errors import FetchFailed, StorageFailed, TooLarge
from comfyserve.fetch import program
from comfyserve.fetch.disk import remove, size_on_disk
from comfyserve.fetch.threads import in_thread
from comfyserve.ports import OnBytes

KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
MAX_OUTPUT = 4 * 1024 * 1024
MAX_LINE = 64 * 1024
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status (negative: the signal), what it printed, and the end of its complaints."""

    status: int
    printed: bytes
    complaints: str


def environment(own: Mapping[str, str], inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child gets to see of our environment, and its own variables."""
    return {name: inherited[name] for name in KEPT_VARIABLES if name in inherited} | dict(own)


def python_command(path: str | Path, arguments: Sequence[str]) -> tuple[str, ...]:
    """The command that runs a Python program of ours, which sees nothing of the user's Python and ends when we do."""
    return sys.executable, "-I", program.__file__, str(path), *arguments


async def run_child(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: Path,
    look: Callable[[], Awaitable[None]] | None = None,
    on_line: Callable[[bytes], None] | None = None,
) -> Ended:
    """Run a program to its end. `look` is called twice a second; what it raises ends the program.

    Raises FetchFailed when it cannot be started. When this is cancelled, everything that it started is killed.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            limit=MAX_LINE,
        )
    except OSError as error:
        raise FetchFailed(f"{Path(command[0]).name} cannot be started: {error.strerror}.") from error
    assert process.stdout is not None
    assert process.stderr is not None
    work = asyncio.gather(_read(process.stdout, on_line), _read(process.stderr), process.wait())
    try:
        while not (await asyncio.wait({work}, timeout=LOOK_SECONDS))[0]:
            if look is not None:
                await look()
        printed, complaints, status = work.result()
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        work.cancel()
        await asyncio.wait({work})
        await asyncio.shield(process.wait())
    return Ended(status, printed, complaints.decode(errors="replace"))


def weigher(
    folder: Path, limit: int, on_bytes: OnBytes, total: Callable[[], int | None]
) -> Callable[[], Awaitable[None]]:
    """A `look` for run_child: tells the bytes in a folder, and raises TooLarge when they are more than the limit."""

    async def look() -> None:
        size = await in_thread(lambda: size_on_disk(folder))
        check_size(size, limit)
        on_bytes(size, total())

    return look


def check_size(size: int, limit: int) -> None:
    """Raise TooLarge when the bytes are more than the limit."""
    if size > limit:
        raise TooLarge(f"The files are larger than the {limit} bytes that are allowed.")


def make_folder(path: Path) -> None:
    """An empty folder at a path, whatever lay there before. Raises StorageFailed."""
    try:
        remove(path)
        path.mkdir(parents=True)
    except OSError as error:
        raise StorageFailed(f"No folder for a download can be made: {error.strerror}.") from error


async def _read(stream: asyncio.StreamReader, on_line: Callable[[bytes], None] | None = None) -> bytes:
    """The last bytes of a stream, line by line; a line that is too long is read in pieces."""
    kept = bytearray()
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return bytes(kept + error.partial)[-MAX_OUTPUT:]
        except asyncio.LimitOverrunError as error:
            line = await stream.read(error.consumed)
        if on_line is not None:
            on_line(line)
        kept += line
        if len(kept) > MAX_OUTPUT:
            del kept[:-MAX_OUTPUT]
