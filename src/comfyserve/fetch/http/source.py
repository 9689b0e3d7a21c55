"""The Source for http and https."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from yarl import URL

from comfyserve.core.credentials import Auth, Credential
from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http.ask import Asker
from comfyserve.fetch.http.download import Download
from comfyserve.fetch.http.identity import Identity, identify
from comfyserve.fetch.http.limits import HttpLimits
from comfyserve.fetch.source import Arrived, Order, Unchanged

NOT_ALLOWED = frozenset({401, 403, 407})


class HttpSource:
    """The Source for http and https URLs: GET with redirects, credentials, resume, ranges and checksums.

    `own` are the operator's credentials, for addresses for which the caller brings none; `tls` is whom to trust.
    Build it in a loop.
    """

    def __init__(
        self,
        guard: Guard,
        limits: HttpLimits | None = None,
        *,
        own: Sequence[Credential] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._limits = limits or HttpLimits()
        self._own = own
        self._asker = Asker(guard, self._limits, tls)
        self._room = asyncio.Semaphore(self._limits.at_once)

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Write the whole file to `path`: see Source.

        It is hashed while it arrives. `Arrived.sha256` is empty for a large file (HttpLimits.hash_below) whose
        checksum neither the order nor the origin tells.

        A file that has a validator (a strong ETag or a Last-Modified) is gone on with after a break, by this call or
        by the next one with the same path, in whatever process.
        """
        url, identity = self._identified(order.url, order.auth)
        async with self._room:
            try:
                async with asyncio.timeout(self._limits.total_seconds):
                    return await Download(self._asker, self._limits, order, url, identity).run(path)
            except TimeoutError as error:
                seconds = f"{self._limits.total_seconds:g}"
                raise FetchFailed(f"{url.host} did not give the file within {seconds} s.", retryable=True) from error

    async def check(self, url: str, auth: Auth | None) -> None:
        """Ask with HEAD, and where that gives nothing good for the first byte, as signed addresses are for GET alone.

        Raises FetchRefused or FetchFailed unless the address opens.
        """
        checked, identity = self._identified(url, auth)
        status = await self._status(checked, identity, "HEAD", {})
        if status >= 300:
            status = await self._status(checked, identity, "GET", {"Range": "bytes=0-0"})
        if status in NOT_ALLOWED:
            raise FetchFailed(
                f"{checked.host} does not open this file with these credentials (status {status}).",
            )
        if status >= 300 and status != 416:
            raise FetchFailed(f"{checked.host} answers with status {status}.", retryable=status >= 500)

    async def close(self) -> None:
        """Let go of the threads."""
        self._asker.close()

    def _identified(self, url: str, auth: Auth | None) -> tuple[URL, Identity]:
        checked = self._guard.check_url(url)
        return checked.with_user(None), identify(checked, url, auth, self._own)

    async def _status(self, url: URL, identity: Identity, method: str, headers: Mapping[str, str]) -> int:
        exchange = await self._asker.ask(url, identity, method, headers)
        exchange.close()
        return exchange.response.status
