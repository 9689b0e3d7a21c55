"""Blobs in a bucket of S3, Azure or GCS."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import obstore
import structlog

from comfyserve.blobs.keys import check_key
from comfyserve.blobs.own import Opened
from comfyserve.blobs.stream import chunks, patience, upload
from comfyserve.blobs.theirs import Theirs
from comfyserve.core.bucket_failures import Failure, Kind, read_failure
from comfyserve.core.disposition import disposition
from comfyserve.core.errors import DomainError, NotFound, StorageFailed
from comfyserve.ports import ByteStream, StoredBlob

log = structlog.get_logger(__name__)

LIST_PAGE = 1000
MAX_SIGNED_SECONDS = 7 * 24 * 3600
"""S3 and GCS sign for no longer."""

ADVICE: Mapping[Kind, str] = {
    Kind.NO_BUCKET: "There is no bucket {bucket}{said}. Create it, or correct the setting blobs.",
    Kind.ABSENT: "The bucket {bucket} has no such file, or does not exist. Create it, or correct the setting blobs.",
    Kind.NO_CREDENTIALS: "There are no credentials for the bucket {bucket}. Set {credentials}.",
    Kind.BAD_CREDENTIALS: "The credentials for the bucket {bucket} are not accepted{said}. Check {credentials}.",
    Kind.DENIED: "The bucket {bucket} refuses{said}. Allow its credentials to read, write, list and delete there.",
    Kind.REGION: "The bucket {bucket} is somewhere else{said}. Correct {place}.",
    Kind.BUSY: "The bucket {bucket} does not work at the moment{said}.",
    Kind.UNREACHED: "The bucket {bucket} does not answer. Check the network and {place}.",
}
OTHER_ADVICE = "The bucket {bucket} refuses a request{said}."

T = TypeVar("T")


class ObjectBlobs:
    """The Blobs port on a bucket: key `a/b.png` is the object `prefix/a/b.png`.

    A small blob is one request; a large one goes up in parts, two at a time. The store tells browsers type and name of
    a blob as they were given to `put`. `links`: whether `presigned` gives addresses of the store to callers.
    """

    def __init__(self, opened: Opened, *, idle_seconds: float, links: bool) -> None:
        """`idle_seconds`: how long one request may take to be answered, and a transfer to make no progress."""
        self._store = opened.store
        self._opened = opened
        self._seconds = idle_seconds
        self._links = links

    async def put(
        self, key: str, content: ByteStream, *, limit: int | None = None, mime: str = "", filename: str = ""
    ) -> StoredBlob:
        """Write a stream; nothing is visible before the last byte. Raises TooLarge, StorageFailed."""
        check_key(key)
        attributes = {"Content-Type": mime} if mime else {}
        if filename:
            attributes["Content-Disposition"] = disposition(filename, mime)
        mine = Theirs(content)
        try:
            written = await upload(
                self._store, key, mine.pieces(), attributes=attributes, idle_seconds=self._seconds, limit=limit
            )
        except Exception as error:
            if error is mine.raised or isinstance(error, DomainError):
                raise
            raise self._failed(error, writing=True) from None
        return StoredBlob(key, written.size, written.sha256)

    @asynccontextmanager
    async def open(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[ByteStream]:
        """Read a blob or a range of it, in chunks of at most 256 KiB. Raises NotFound, StorageFailed."""
        check_key(key)
        if length == 0:
            await self.size(key)
            yield _nothing()
            return
        end = None if length is None else start + length
        try:
            if end is None:
                work = obstore.get_async(self._store, key, options={"range": {"offset": start}} if start else {})
            else:
                work = obstore.get_async(self._store, key, options={"range": (start, end)})
            result = await self._in_time(work)
        except Exception as error:
            if read_failure(error).kind is not Kind.RANGE:
                raise self._failed(error, key) from None
            result = None
        yield self._read(result) if result is not None else _nothing()

    async def size(self, key: str) -> int:
        """Its size in bytes. Raises NotFound, StorageFailed."""
        check_key(key)
        try:
            found = await self._in_time(obstore.head_async(self._store, key))
        except Exception as error:
            raise self._failed(error, key) from None
        return int(found["size"])

    async def delete(self, key: str) -> None:
        """Remove it; quietly nothing when it is absent. Raises StorageFailed."""
        await self._delete([check_key(key)])

    async def delete_below(self, folder: str, *, keep: Collection[str] = ()) -> None:
        """Remove every blob below a folder but for `keep`, a page of the listing at a time. Raises StorageFailed."""
        kept = frozenset(keep)
        pages = aiter(obstore.list(self._store, prefix=check_key(folder), chunk_size=LIST_PAGE))
        while True:
            try:
                page = await self._in_time(anext(pages))
            except StopAsyncIteration:
                return
            except Exception as error:
                raise self._failed(error) from None
            await self._delete([found["path"] for found in page if found["path"] not in kept])

    async def presigned(self, key: str, seconds: int) -> str | None:
        """A URL at which the store serves the blob for so long; None where links are off or cannot be signed."""
        check_key(key)
        if not self._links:
            return None
        try:
            lasting = timedelta(seconds=min(seconds, MAX_SIGNED_SECONDS))
            return str(await self._in_time(obstore.sign_async(self._store, "GET", key, lasting)))
        except Exception as error:
            log.warning("link_not_signed", bucket=self._opened.bucket, reason=read_failure(error).kind.value)
            return None

    async def probe(self, name: str) -> None:
        """Write, read, list and delete a tiny object of this name, which no key has. Raises StorageFailed."""
        path = f".probe/{name}"
        try:
            await self._in_time(obstore.put_async(self._store, path, b"comfyserve", use_multipart=False))
            await self._in_time(obstore.head_async(self._store, path))
            async for _ in obstore.list(self._store, prefix=".probe", chunk_size=LIST_PAGE):
                break
            await self._in_time(obstore.delete_async(self._store, path))
        except Exception as error:
            raise self._failed(error, writing=True) from None

    async def close(self) -> None:
        """Nothing to let go of: obstore closes its connections when they idle."""

    async def _delete(self, paths: list[str]) -> None:
        if not paths:
            return
        try:
            with suppress(FileNotFoundError):  # The store has done all the others by then.
                await self._in_time(obstore.delete_async(self._store, paths))
        except Exception as error:
            raise self._failed(error) from None

    async def _read(self, result: Any) -> ByteStream:
        try:
            async for chunk in chunks(result, self._seconds):
                yield chunk
        except Exception as error:
            raise self._failed(error) from None

    async def _in_time(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(patience(self._seconds)):
            return await work

    def _failed(self, error: Exception, key: str = "", *, writing: bool = False) -> NotFound | StorageFailed:
        failure = read_failure(error)
        if failure.kind is Kind.UNREACHED:
            log.warning("storage_unreached", bucket=self._opened.bucket, error=type(error).__name__)
        if failure.kind is Kind.ABSENT and key:
            return NotFound(f"There is no blob {key}.")
        if failure.kind is Kind.ABSENT and writing:
            failure = Failure(Kind.NO_BUCKET, failure.word)
        service = self._opened.service
        return StorageFailed(
            ADVICE.get(failure.kind, OTHER_ADVICE).format(
                bucket=self._opened.bucket, said=failure.said, credentials=service.credentials, place=service.place
            )
        )


async def _nothing() -> ByteStream:
    return
    yield b""
