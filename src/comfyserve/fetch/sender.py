"""Webhooks go out under the same policy as everything else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import aiohttp
from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard
from comfyserve.ports import ByteStream

PIECE_BYTES = 64 * 1024
SLOWEST_BYTES = 32 * 1024
"""How many bytes a second a receiver must take at least, over the whole body."""


class HttpSender:
    """The Sender port: posts webhooks under the same policy; a redirect is not followed. Build it in a loop.

    `answer_seconds`: how long a receiver may take no further piece of a body, and how long it may owe an answer."""

    def __init__(self, guard: Guard, *, connect_seconds: float = 10.0, answer_seconds: float = 30.0) -> None:
        self._guard = guard
        self._session = guard.session(connect_seconds=connect_seconds, idle_seconds=answer_seconds)
        self._connect = connect_seconds
        self._answer = answer_seconds

    async def post(self, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
        """The receiver's status code. Raises FetchRefused, FetchFailed, and what `content` raises."""
        return await self.send("POST", url, content, headers, length=length)

    async def send(self, method: str, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
        """The same by another method."""
        checked = self._guard.check_url(url)
        proxy = await self._guard.proxy_for(checked)
        body = _Body(content, self._answer)
        most = self._connect + self._answer + length / SLOWEST_BYTES
        try:
            async with asyncio.timeout(most), asyncio.timeout(self._connect + self._answer) as patience:
                return await self._call(method, checked, body.pieces(patience), headers, length, proxy)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if body.broken is not None:
                raise body.broken from None  # not the receiver failed, but what we sent it
            raise FetchFailed(f"{checked.host} cannot be reached: {type(error).__name__}.", retryable=True) from error

    async def _call(
        self, method: str, url: URL, body: ByteStream, headers: Mapping[str, str], length: int, proxy: str | None
    ) -> int:
        sized = {**headers, "Content-Length": str(length)}
        async with self._session.request(
            method, url, data=body, headers=sized, allow_redirects=False, proxy=proxy
        ) as response:
            return response.status

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class _Body:
    """A body in small pieces; each that is taken renews the receiver's time. `broken`: what the content raised."""

    def __init__(self, content: ByteStream, seconds: float) -> None:
        self._content = content
        self._seconds = seconds
        self.broken: Exception | None = None

    async def pieces(self, patience: asyncio.Timeout) -> AsyncIterator[bytes]:
        """The bytes."""
        try:
            async for whole in self._content:
                for start in range(0, len(whole), PIECE_BYTES):
                    self._renew(patience)
                    yield whole[start : start + PIECE_BYTES]
        except Exception as error:
            self.broken = error
            raise
        self._renew(patience)

    def _renew(self, patience: asyncio.Timeout) -> None:
        with suppress(RuntimeError):  # the time is up, and whoever writes has not heard of it yet
            patience.reschedule(asyncio.get_running_loop().time() + self._seconds)
