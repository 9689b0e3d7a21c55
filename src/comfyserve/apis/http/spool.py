"""JSON bodies whose files go to disk while the body comes in, so that no server holds a picture that was sent as text.

A string over LONG bytes that looks like base64 or a data URI is written, unescaped, to a scratch file, and a token
takes its place before the rest is decoded. A token is itself a data URI, `data:spooled,<random>`: whatever takes data
takes it. `services.media` knows what it stands for; nobody can guess one.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from starlette.requests import ClientDisconnect

from comfyserve.apis.http.errors import Busy, InvalidRequest
from comfyserve.apis.http.sieve import LONG, Sieve
from comfyserve.core.data_uri import SPOOLED
from comfyserve.core.errors import StorageFailed, TooLarge

BATCH = 256 * 1024
"""Bytes of a body that are looked at in one go, in a thread."""

TOKEN_BYTES = 16


@dataclass(frozen=True)
class SpoolLimits:
    """`rest`: bytes of a body's JSON without its files. `files`: of one body. `disk`: bytes of all bodies together."""

    rest: int = 32 * 1024 * 1024
    files: int = 1_000
    disk: int = 16 * 1024**3


async def nothing_to_let_go() -> None:
    """There are no files."""


@dataclass(frozen=True)
class Spooled:
    """A body's JSON with tokens in it, and the file that each token stands for. The files go with the request, or
    sooner by `let_go`."""

    rest: bytes
    files: Mapping[str, Path] = field(default_factory=dict)
    let_go: Callable[[], Awaitable[None]] = nothing_to_let_go


class Spool:
    """A folder of scratch files. One process has it; the files of a process that was killed go when it is opened."""

    def __init__(self, folder: Path, limits: SpoolLimits | None = None) -> None:
        self._folder = folder
        self._limits = limits or SpoolLimits()
        self._room = _Room(self._limits.disk)

    def open(self) -> None:
        """Make the folder, and empty it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._folder.iterdir():
            left.unlink(missing_ok=True)

    @asynccontextmanager
    async def reading(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Spooled]:
        """The body that comes in `chunks`. Raises MalformedJson for what is found broken on the way, TooLarge, Busy
        and StorageFailed when there is no room, and InvalidRequest when the caller leaves."""
        files = _Files(self._folder, self._limits.files, self._room)
        try:
            yield await _read(chunks, files, self._limits.rest)
        finally:
            if files.used:
                await files.let_go()


async def _read(chunks: AsyncIterator[bytes], files: "_Files", limit: int) -> Spooled:
    sieve = Sieve(files.new, limit)
    waiting = bytearray()
    try:
        async for chunk in chunks:
            waiting += chunk
            if len(waiting) >= BATCH:
                files.used = True
                await asyncio.to_thread(files.guarded, sieve.feed, bytes(waiting))
                waiting.clear()
    except ClientDisconnect as error:
        raise InvalidRequest("The caller left before the body was here.") from error
    if not files.used and len(waiting) <= LONG:
        return Spooled(bytes(waiting))
    files.used = True
    await asyncio.to_thread(files.guarded, sieve.feed, bytes(waiting))
    await asyncio.to_thread(files.guarded, files.finish)
    return Spooled(sieve.end(), files.by_token, files.let_go)


class _Room:
    """Bytes on disk that all requests share."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        with self._lock:
            if size > self._left:
                raise Busy("The server holds as many files of other requests as it may. Try again soon.")
            self._left -= size

    def give(self, size: int) -> None:
        with self._lock:
            self._left += size


class _Files:
    """The scratch files of one request. A thread may still write while its request is gone; `close` waits for it."""

    def __init__(self, folder: Path, limit: int, room: _Room) -> None:
        self.by_token: dict[str, Path] = {}
        self._folder = folder
        self._limit = limit
        self._room = room
        self._taken = 0
        self._open: IO[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()
        self.used = False
        """Whether a thread has been given a part of the body, so that there may be files."""

    def guarded(self, work: Callable[..., None], *data: bytes) -> None:
        """Do the work unless the request is over."""
        with self._lock:
            if self._closed:
                return
            try:
                work(*data)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise StorageFailed(f"The server cannot keep a file of this request: {reason}.") from error

    def new(self) -> tuple[str, Callable[[bytes], None]]:
        """A token, and what takes the bytes of its file; a file ends when the next one begins."""
        if len(self.by_token) >= self._limit:
            raise TooLarge(f"The body holds more than {self._limit} files. Upload them first, or send fewer.")
        if self._open is not None:
            self._open.close()
        name = secrets.token_hex(TOKEN_BYTES)
        token, path = f"{SPOOLED}{name}", self._folder / name
        self._open = file = open(path, "xb", opener=_private)  # noqa: SIM115
        self.by_token[token] = path

        def write(data: bytes) -> None:
            self._room.take(len(data))
            self._taken += len(data)
            file.write(data)

        return token, write

    def finish(self) -> None:
        """Let everything that was written be read."""
        if self._open is not None:
            self._open.close()

    async def let_go(self) -> None:
        """Remove the files; once is enough."""
        if not self._closed:
            await asyncio.shield(asyncio.to_thread(self.close))

    def close(self) -> None:
        """Remove the files."""
        with self._lock:
            self._closed = True
            self.finish()
            for path in self.by_token.values():
                path.unlink(missing_ok=True)
            self._room.give(self._taken)
            self._taken = 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
