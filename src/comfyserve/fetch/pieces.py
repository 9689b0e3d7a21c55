"""A file on disk that arrives in pieces, in any order, and can be continued after a break."""

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from comfyserve.core.errors import FetchFailed, StorageFailed
from comfyserve.fetch.threads import in_thread
from comfyserve.ports import OnBytes

PIECE_BYTES = 16 * 1024 * 1024
READ_BYTES = 1024 * 1024
HEAD_BYTES = 64
AT_ONCE = 6
TELL_SECONDS = 0.25
RESUME = ".resume"
SLOW_SECONDS = 60.0
SLOW_RATE = 64 * 1024
SMALL_SLOW_RATE = 1024
SMALL_BYTES = 1024 * 1024
"""Fewer bytes a second than the rate, over so many seconds, end a try; the rate is lower for small files."""

GetPiece = Callable[[int, int, Callable[[memoryview], Awaitable[None]]], Awaitable[None]]
"""Gets the bytes from `start` to before `end`, in order, and gives each chunk to the function."""


@dataclass(frozen=True)
class Whole:
    """A file that has arrived."""

    sha256: str
    head: bytes


class PiecedFile:
    """The file `path` of `size` bytes. `state` names the state of the origin (its ETag): pieces that an earlier, broken
    download of the same state left are kept. What the disk refuses is StorageFailed; hardly any bytes over
    `slow_seconds` are FetchFailed."""

    def __init__(
        self,
        path: Path,
        size: int,
        state: str,
        on_bytes: OnBytes,
        piece_bytes: int = PIECE_BYTES,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        self._path = path
        self._note = path.with_name(path.name + RESUME)
        self._size = size
        self._state = state
        self._piece = piece_bytes
        self._count = -(-size // piece_bytes)
        self._on_bytes = on_bytes
        self._slow_seconds = slow_seconds
        self._told = 0.0
        self._received = 0
        self._noting = asyncio.Lock()

    async def fill(self, get: GetPiece) -> Whole:
        """Get the pieces that are missing, several at once, and hash the file meanwhile."""
        with _disk():
            done = await in_thread(self._begin)
            handle = os.open(self._path, os.O_RDWR)
        arrived = [asyncio.Event() for _ in range(self._count)]
        for index in done:
            arrived[index].set()
        missing = iter(index for index in range(self._count) if index not in done)
        self._received = sum(self._end(index) - index * self._piece for index in done)
        self._on_bytes(self._received, self._size)
        try:
            async with asyncio.TaskGroup() as group:
                hashing = group.create_task(self._hash(handle, arrived))
                group.create_task(self._watch(arrived))
                for _ in range(min(AT_ONCE, self._count)):
                    group.create_task(self._work(handle, get, missing, arrived))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            os.close(handle)
        self._note.unlink(missing_ok=True)
        self._on_bytes(self._size, self._size)
        return hashing.result()

    async def _work(self, handle: int, get: GetPiece, missing: Iterator[int], arrived: list[asyncio.Event]) -> None:
        for index in missing:
            at = index * self._piece

            async def write(chunk: memoryview) -> None:
                nonlocal at
                with _disk():
                    await in_thread(partial(_write, handle, chunk, at))
                at += len(chunk)
                self._tell(len(chunk))

            await get(at, self._end(index), write)
            arrived[index].set()
            async with self._noting:
                done = [number for number, event in enumerate(arrived) if event.is_set()]
                with _disk():
                    await in_thread(partial(self._remember, done))

    async def _watch(self, arrived: list[asyncio.Event]) -> None:
        """Raises FetchFailed when hardly anything comes, while there are pieces missing."""
        rate = SLOW_RATE if self._size > SMALL_BYTES else SMALL_SLOW_RATE
        whole = asyncio.create_task(_all(arrived))
        try:
            while not whole.done():
                before = self._received
                await asyncio.wait([whole], timeout=self._slow_seconds)
                if not whole.done() and self._received - before < rate * self._slow_seconds:
                    raise FetchFailed(f"The file comes with less than {rate} bytes a second.", retryable=True)
        finally:
            whole.cancel()

    async def _hash(self, handle: int, arrived: list[asyncio.Event]) -> Whole:
        digest = hashlib.sha256()
        for index, event in enumerate(arrived):
            await event.wait()
            await in_thread(partial(_read_into, digest, handle, index * self._piece, self._end(index)))
        head = os.pread(handle, HEAD_BYTES, 0)
        return Whole(digest.hexdigest(), head)

    def _begin(self) -> frozenset[int]:
        """Make the file, or find what is there of it."""
        done: frozenset[int] = frozenset()
        try:
            note = json.loads(self._note.read_text())
            same = note["state"] == self._state != "" and note["size"] == self._size and note["piece"] == self._piece
            if same and self._path.stat().st_size == self._size:
                done = frozenset(index for index in note["done"] if 0 <= index < self._count)
        except (OSError, ValueError, KeyError, TypeError):
            done = frozenset()
        with self._path.open("r+b" if done else "wb") as file:
            file.truncate(self._size)
        return done

    def _remember(self, done: list[int]) -> None:
        note = {"state": self._state, "size": self._size, "piece": self._piece, "done": done}
        new = self._note.with_name(self._note.name + ".new")
        new.write_text(json.dumps(note))
        new.replace(self._note)

    def _end(self, index: int) -> int:
        return min((index + 1) * self._piece, self._size)

    def _tell(self, size: int) -> None:
        self._received += size
        now = asyncio.get_running_loop().time()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self._on_bytes(self._received, self._size)


async def _all(events: list[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"The file cannot be kept on disk: {error.strerror}.") from error


def _write(handle: int, view: memoryview, at: int) -> None:
    while view:
        written = os.pwrite(handle, view, at)
        view, at = view[written:], at + written


def _read_into(digest: "hashlib._Hash", handle: int, start: int, end: int) -> None:
    while start < end:
        data = os.pread(handle, min(READ_BYTES, end - start), start)
        if not data:
            raise StorageFailed("The file on disk is shorter than it was written.")
        digest.update(data)
        start += len(data)
