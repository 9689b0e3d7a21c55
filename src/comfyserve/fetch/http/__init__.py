"""Fetch over HTTP and from data URIs, into temporary files."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import aiohttp
import structlog
from yarl import URL

from comfyserve.core.data_uri import decode_data_uri
from comfyserve.core.errors import FetchFailed, FetchRefused, StorageFailed, TooLarge
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http.limits import HttpLimits
from comfyserve.fetch.http.source import HttpSource
from comfyserve.fetch.names import mime_of, safe_name, with_extension
from comfyserve.ports import Fetched

__all__ = ["FetchLimits", "HttpFetch", "HttpLimits", "HttpSource"]

CHUNK_BYTES = 256 * 1024
HEAD_BYTES = 64
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "comfyserve"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class FetchLimits:
    """Caps on one fetch: bytes of content; seconds in all, without a byte, and to connect; redirects; tries and the
    pauses between them."""

    max_bytes: int = 250 * 1024 * 1024
    total_seconds: float = 120.0
    idle_seconds: float = 30.0
    connect_seconds: float = 10.0
    redirects: int = 5
    tries: int = 3
    delays: tuple[float, ...] = (0.5, 2.0)


class HttpFetch:
    """The Fetch port for http, https and data URLs. `folder` is for its temporary files alone. Build it in a loop."""

    def __init__(self, folder: Path, guard: Guard, limits: FetchLimits | None = None) -> None:
        self._folder = folder
        self._guard = guard
        self._limits = limits or FetchLimits()
        self._session = guard.session(
            connect_seconds=self._limits.connect_seconds, idle_seconds=self._limits.idle_seconds
        )
        folder.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def fetch(self, url: str, *, limit: int | None = None) -> AsyncIterator[Fetched]:
        """Download to a temporary file, which is removed when the context is left.

        Raises FetchRefused, FetchFailed, TooLarge, StorageFailed; InvalidInput for a broken data URI. A connection
        that breaks and a server that answers 5xx are tried again. Messages name the host, never path or query.
        """
        most = self._limits.max_bytes if limit is None else min(limit, self._limits.max_bytes)
        target = await asyncio.to_thread(_Target, self._folder)
        try:
            if url[:5].lower() == "data:":
                yield await asyncio.to_thread(_write_data_uri, url, target, most)
            else:
                yield await self._download(self._guard.check_url(url), target, most)
        finally:
            await asyncio.to_thread(target.remove)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _download(self, url: URL, target: "_Target", most: int) -> Fetched:
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                return await self._try_often(url, target, most)
        except TimeoutError as error:
            seconds = f"{self._limits.total_seconds:g}"
            raise FetchFailed(f"{url.host} did not give the file within {seconds} s.", retryable=True) from error

    async def _try_often(self, url: URL, target: "_Target", most: int) -> Fetched:
        for count in range(1, self._limits.tries + 1):
            try:
                return await self._follow(url, target, most)
            except FetchFailed as error:
                if not error.retryable or count == self._limits.tries:
                    raise
                log.info("fetch.again", host=url.host, reason=error.message, tries=count)
            await asyncio.sleep(self._limits.delays[min(count, len(self._limits.delays)) - 1])
            await asyncio.to_thread(target.restart)
        raise AssertionError("the last try returns or raises")

    async def _follow(self, url: URL, target: "_Target", most: int) -> Fetched:
        """One try: follow redirects, each checked anew, then read."""
        for _ in range(self._limits.redirects + 1):
            async with self._get(url) as response:
                if response.status not in REDIRECTS:
                    return await _read(response, url, target, most)
                url = self._next(url, response.headers.get("Location", ""))
        raise FetchFailed(f"{url.host} redirects more than {self._limits.redirects} times.")

    def _next(self, url: URL, location: str) -> URL:
        try:
            return self._guard.check_url(str(url.join(URL(location))))
        except ValueError as error:
            raise FetchFailed(f"{url.host} redirects to something that is no URL.") from error

    @asynccontextmanager
    async def _get(self, url: URL) -> AsyncIterator[aiohttp.ClientResponse]:
        proxy = await self._guard.proxy_for(url)
        try:
            async with self._session.get(url, allow_redirects=False, headers=HEADERS, proxy=proxy) as response:
                yield response
        except aiohttp.InvalidURL as error:
            raise FetchRefused("This is not a valid URL.") from error
        except TimeoutError as error:
            raise FetchFailed(f"{url.host} keeps us waiting too long.", retryable=True) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise FetchFailed(f"The host {url.host} cannot be found.", retryable=True) from error
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or type(error).__name__
            raise FetchFailed(f"{url.host} cannot be reached: {reason}.", retryable=True) from error
        except aiohttp.ClientPayloadError as error:
            raise FetchFailed(f"{url.host} broke off in the middle of the file.", retryable=True) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise FetchFailed(
                f"{url.host} does not answer properly ({type(error).__name__}).", retryable=True
            ) from error


async def _read(response: aiohttp.ClientResponse, url: URL, target: "_Target", most: int) -> Fetched:
    if response.status != 200:
        raise FetchFailed(f"{url.host} answers with status {response.status}.", retryable=response.status in TRY_AGAIN)
    if (response.content_length or 0) > most:
        raise _too_large(most)
    buffer, size = bytearray(), 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        buffer += chunk
        if len(buffer) >= CHUNK_BYTES:
            await asyncio.to_thread(target.write, bytes(buffer))
            buffer.clear()
    await asyncio.to_thread(target.write, bytes(buffer))
    declared = response.headers.get("Content-Type", "")
    return target.fetched(declared, _disposition(response), url.name)


def _disposition(response: aiohttp.ClientResponse) -> str | None:
    disposition = response.content_disposition
    return disposition.filename if disposition is not None else None


def _write_data_uri(text: str, target: "_Target", most: int) -> Fetched:
    mime, pieces = decode_data_uri(text, most)
    for piece in pieces:
        target.write(piece)
    return target.fetched(mime)


class _Target:
    """The temporary file of one fetch. Its methods block; they run in a thread."""

    def __init__(self, folder: Path) -> None:
        try:
            handle, name = tempfile.mkstemp(dir=folder)
        except OSError as error:
            raise StorageFailed(f"No temporary file can be made: {error.strerror}.") from error
        self.path = Path(name)
        self._file: BinaryIO = os.fdopen(handle, "wb", buffering=0)
        self._hash = hashlib.sha256()
        self._head = b""
        self._size = 0

    def write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise StorageFailed(f"The file cannot be kept on disk: {error.strerror}.") from error
        self._hash.update(data)
        self._head = self._head or data[:HEAD_BYTES]
        self._size += len(data)

    def restart(self) -> None:
        """Forget what a broken try wrote."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self._head, self._size = b"", 0

    def fetched(self, declared: str, *names: str | None) -> Fetched:
        name = safe_name(*names)
        mime = mime_of(self._head, declared, name)
        return Fetched(self.path, self._size, mime, with_extension(name, mime), self._hash.hexdigest())

    def remove(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The file is larger than the {most} bytes that are allowed.")
