"""Streams of bytes between an engine, our disk and a storage: bounded in size and in patience."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from comfyserve.core.errors import TooLarge
from comfyserve.ports import ByteStream

T = TypeVar("T")

PIECE_BYTES = 256 * 1024
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
    """Write a stream to a new file. Raises TooLarge, OSError."""
    size = 0
    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for piece in content:
            size += len(piece)
            if size > limit:
                raise TooLarge(f"The file is larger than the {limit} bytes that are allowed.")
            await asyncio.to_thread(file.write, piece)
    finally:
        await asyncio.to_thread(file.close)


@asynccontextmanager
async def read_file(path: Path) -> AsyncIterator[ByteStream]:
    """The content of a file. Raises OSError."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        yield _pieces(file)
    finally:
        await asyncio.to_thread(file.close)


async def _pieces(file: BinaryIO) -> ByteStream:
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        yield piece
