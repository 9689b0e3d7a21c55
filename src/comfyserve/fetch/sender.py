"""Webhooks go out under the same policy as everything else."""

import asyncio
from collections.abc import Mapping

import aiohttp

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard


class HttpSender:
    """The Sender port: posts webhooks under the same policy; a redirect is not followed. Build it in a loop."""

    def __init__(self, guard: Guard, *, connect_seconds: float = 10.0, answer_seconds: float = 30.0) -> None:
        self._guard = guard
        self._session = guard.session(connect_seconds=connect_seconds, idle_seconds=answer_seconds)
        self._total = connect_seconds + answer_seconds

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The receiver's status code. Raises FetchRefused, FetchFailed."""
        checked = self._guard.check_url(url)
        proxy = await self._guard.proxy_for(checked)
        try:
            async with (
                asyncio.timeout(self._total),
                self._session.post(checked, data=body, headers=headers, allow_redirects=False, proxy=proxy) as response,
            ):
                return response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise FetchFailed(f"{checked.host} cannot be reached: {type(error).__name__}.", retryable=True) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
