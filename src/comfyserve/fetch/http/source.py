"""The Source for http and https."""

import ssl
from pathlib import Path

from yarl import URL

from comfyserve.core.credentials import Auth
from comfyserve.core.errors import FetchFailed
from comfyserve.core.own_header import OwnHeader, advice_for
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http.answer import read_facts
from comfyserve.fetch.http.ask import Asker
from comfyserve.fetch.http.download import Download
from comfyserve.fetch.http.identity import Identity, identify
from comfyserve.fetch.http.limits import HttpLimits
from comfyserve.fetch.source import UNKNOWN, Arrived, Order, Unchanged, Validators

NOT_ALLOWED = frozenset({401, 403, 407})


class HttpSource:
    """The Source for http and https URLs: GET with redirects, credentials, resume, ranges and checksums.

    `own` is the operator's header, for addresses for which the caller brings no credentials; `tls` is whom to trust.
    There are threads for so many `downloads` at the same time. Build it in a loop.
    """

    def __init__(
        self,
        guard: Guard,
        limits: HttpLimits | None = None,
        *,
        own: OwnHeader | None = None,
        tls: ssl.SSLContext | None = None,
        downloads: int = 16,
    ) -> None:
        self._guard = guard
        self._limits = limits or HttpLimits()
        self._own = own
        self._asker = Asker(guard, self._limits, downloads, tls)

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Write the whole file to `path`: see Source.

        It is hashed while it arrives. `Arrived.sha256` is empty for a large file (HttpLimits.hash_below) whose
        checksum neither the order nor the origin tells.

        A file that has a validator (a strong ETag or a Last-Modified) is gone on with after a break, by this call or
        by the next one with the same path, in whatever process.
        """
        url, identity = self._identified(order.url, order.auth)
        advice = advice_for(self._own, order.url)
        return await Download(self._asker, self._limits, order, url, identity, advice).run(path)

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Ask for the first byte, unless the file has the ETag that we hold. See Source.

        Not with HEAD, which some origins answer to everybody; nor by date, since another file may be older than ours.
        """
        checked, identity = self._identified(url, auth)
        condition = {"If-None-Match": held.etag} if held.etag else {}
        exchange = await self._asker.ask(checked, identity, "GET", {"Range": "bytes=0-0"} | condition)
        exchange.close()
        headers, status = exchange.response.headers, exchange.response.status
        if status in NOT_ALLOWED:
            raise FetchFailed(
                f"{checked.host} does not open this file with these credentials (status {status}).",
            )
        if status == 304 and held.etag:
            return headers.get("ETag", held.etag).removeprefix("W/") == held.etag.removeprefix("W/")
        if status >= 300 and status != 416:
            raise FetchFailed(f"{checked.host} answers with status {status}.", retryable=status >= 500)
        return status in (200, 206) and held.shows(read_facts(headers, status).validators)

    async def close(self) -> None:
        """Let go of the threads."""
        self._asker.close()

    def _identified(self, url: str, auth: Auth | None) -> tuple[URL, Identity]:
        checked = self._guard.check_url(url)
        return checked.with_user(None), identify(checked, auth, self._own)
