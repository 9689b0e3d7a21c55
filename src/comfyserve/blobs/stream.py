"""Streams into and out of an object store, in bounded memory and with an end to every wait."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import obstore

from comfyserve.core.errors import TooLarge
from comfyserve.ports import ByteStream

PART_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes. What is smaller goes in one request."""

MAX_PARTS = 9_000
"""S3 takes 10,000 parts; so the parts of a large file are larger."""

FOR_EVER = 24 * 3600.0
"""Seconds of a wait that has no end, for clients that need a number."""

PARTS_AT_ONCE = 2
CHUNK_BYTES = 256 * 1024

Store = Any
"""An obstore S3Store, AzureStore or GCSStore: their stubs share no type for what takes attributes."""


@dataclass(frozen=True)
class Written:
    """What went up: bytes, and their checksum in hexadecimal digits."""

    size: int
    sha256: str


async def upload(
    store: Store,
    path: str,
    content: ByteStream,
    *,
    attributes: dict[str, str],
    idle_seconds: float,
    limit: int | None = None,
    expected: int | None = None,
) -> Written:
    """Write a stream as an object, which is visible when its last byte is there, and not at all when this raises:
    a multipart upload is given up then. `expected` is the size, where it is known.

    Raises TooLarge, what `content` raises, and obstore's errors; TimeoutError without progress (see `patience`).
    """
    digest = hashlib.sha256()
    size = 0
    part = max(PART_BYTES, (expected or limit or 0) // MAX_PARTS + 1)
    writer = obstore.open_writer_async(
        store, path, attributes=attributes, buffer_size=part, max_concurrency=PARTS_AT_ONCE
    )
    async with _Ending(writer, patience(idle_seconds)):
        async for chunk in content:
            size += len(chunk)
            if limit is not None and size > limit:
                raise TooLarge(f"The file is larger than the {limit} bytes that are allowed.")
            digest.update(chunk)
            async with asyncio.timeout(patience(idle_seconds)):
                await writer.write(chunk)
        if expected is not None and size != expected:
            raise ShortContent(f"The content has {size} bytes, not the {expected} that were announced.")
    return Written(size, digest.hexdigest())


def patience(idle_seconds: float) -> float:
    """How long a request with its repetitions may take: they begin within `idle_seconds`, the last ends after it."""
    return 2 * idle_seconds + 1


class ShortContent(ValueError):
    """A stream that has not as many bytes as was said."""


class _Ending:
    """Completes an upload at the end of its block, or gives it up when the block raises, both within the time."""

    def __init__(self, writer: Any, seconds: float) -> None:
        self._writer = writer
        self._seconds = seconds

    async def __aenter__(self) -> None:
        await self._writer.__aenter__()

    async def __aexit__(self, *raised: object) -> None:
        if raised[0] is None:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._writer.close()
            except BaseException as error:
                await self._give_up(type(error), error, error.__traceback__)
                raise
        else:
            await self._give_up(*raised)

    async def _give_up(self, *raised: object) -> None:
        """What fails here is no news: the upload failed already. A cancel does not break it off."""
        ending = asyncio.ensure_future(self._writer.__aexit__(*raised))
        await asyncio.wait([ending], timeout=self._seconds)
        if not ending.done():
            ending.cancel()
        elif not ending.cancelled():
            ending.exception()


async def chunks(result: Any, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body of an obstore GetResult in chunks of at most 256 KiB. Raises obstore's errors, TimeoutError."""
    stream = aiter(result.stream(min_chunk_size=CHUNK_BYTES // 2))
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                block = await anext(stream)
        except StopAsyncIteration:
            return
        view = memoryview(block)
        for at in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[at : at + CHUNK_BYTES])
