"""Streams of bytes between an engine, our disk and a storage: bounded in size and in patience."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from comfyserve.core.errors import TooLarge
from comfyserve.ports import ByteStream

T = TypeVar("T")

PIECE_BYTES = 1024 * 1024
"""What is read or written in one hop off the event loop; so a file up to this size is, too."""

LONGEST_PAUSE = 10.0
SLOWEST = 256 * 1024
"""Bytes a second at which a receiver may still pass on what it has taken."""


def waits(tries: int, first: float) -> Iterator[float | None]:
    """The pauses between so many tries, each twice the one before up to a bound; None after the last."""
    yield from (min(first * 2**index, LONGEST_PAUSE) for index in range(tries - 1))
    yield None


async def patiently(put: Callable[[ByteStream], Awaitable[T]], content: ByteStream, seconds: float) -> T:
    """Hand a stream to `put`. Raises TimeoutError when it takes nothing for so many seconds; 0 waits for ever.

    The time until it first asks for a piece (to connect, say) is bounded so, too. The time in which `content` itself is
    waited for does not count; after its end the receiver has the time besides
    that passing on all of it needs at the slowest.
    """
    if not seconds:
        return await put(content)
    async with asyncio.timeout(seconds) as clock:
        return await put(_watched(content, clock, seconds))


async def _watched(content: ByteStream, clock: asyncio.Timeout, seconds: float) -> ByteStream:
    now = asyncio.get_running_loop().time
    size = 0
    clock.reschedule(None)
    async for piece in content:
        size += len(piece)
        clock.reschedule(now() + seconds)
        yield piece
        clock.reschedule(None)
    clock.reschedule(now() + seconds + size / SLOWEST)


async def write_file(path: Path, content: ByteStream, limit: int) -> None:
    """Write a stream to a file, in place of what is there. Raises TooLarge, OSError."""
    size, waiting, mode = 0, bytearray(), "wb"
    async for piece in content:
        size += len(piece)
        if size > limit:
            raise TooLarge(f"The file is larger than the {limit} bytes that are allowed.")
        waiting += piece
        if len(waiting) >= PIECE_BYTES:
            await asyncio.to_thread(_write, path, mode, waiting)
            waiting, mode = bytearray(), "ab"
    await asyncio.to_thread(_write, path, mode, waiting)


def _write(path: Path, mode: str, data: bytearray) -> None:
    with path.open(mode) as file:
        file.write(data)


@asynccontextmanager
async def read_file(path: Path) -> AsyncIterator[ByteStream]:
    """The content of a file. Raises OSError."""
    first, file = await asyncio.to_thread(_open, path)
    try:
        yield _pieces(first, file)
    finally:
        if file is not None:
            await asyncio.to_thread(file.close)


def _open(path: Path) -> tuple[bytes, BinaryIO | None]:
    """The first piece, and the file if there may be more."""
    file = path.open("rb", buffering=0)
    try:
        first = file.read(PIECE_BYTES)
    except BaseException:
        file.close()
        raise
    if len(first) == PIECE_BYTES:
        return first, file
    file.close()
    return first, None


async def _pieces(first: bytes, file: BinaryIO | None) -> ByteStream:
    yield first
    while file is not None and (piece := await asyncio.to_thread(file.read, PIECE_BYTES)):
        yield piece
