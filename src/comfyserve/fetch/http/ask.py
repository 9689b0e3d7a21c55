"""Asking an origin: connect to a checked address, send, follow redirects, each checked anew."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from http.client import HTTPResponse
from typing import TypeVar

from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http.answer import linked_sha256
from comfyserve.fetch.http.body import Exchange
from comfyserve.fetch.http.identity import Identity
from comfyserve.fetch.http.limits import HttpLimits
from comfyserve.fetch.http.wire import connect
from comfyserve.fetch.threads import in_thread

REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "comfyserve"}

Result = TypeVar("Result")


@lru_cache
def trusted() -> ssl.SSLContext:
    """Whom this machine trusts. It takes a while to read, so it is read once, and only when it is needed."""
    return ssl.create_default_context()


class Asker:
    """Opens exchanges under the outbound policy, with blocking work in threads of its own."""

    def __init__(self, guard: Guard, limits: HttpLimits, downloads: int, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._limits = limits
        self._tls = tls
        # One for each connection, one for the hash of each download, and some for questions without a body.
        threads = downloads * (limits.connections + 2)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="fetch")

    async def ask(self, url: URL, identity: Identity, method: str, headers: Mapping[str, str]) -> Exchange:
        """The answer of the last origin in the row. Credentials go where the identity allows it.

        Raises FetchRefused, FetchFailed.
        """
        linked = ""
        for _ in range(self._limits.redirects + 1):
            exchange = await self.ask_once(url, identity, method, headers)
            linked = linked or linked_sha256(exchange.response.headers)
            if exchange.response.status not in REDIRECTS:
                exchange.linked_sha256 = linked
                return exchange
            exchange.close()
            url = self._next(url, exchange.response)
        raise FetchFailed(f"{url.host} redirects more than {self._limits.redirects} times.")

    async def ask_once(self, url: URL, identity: Identity, method: str, headers: Mapping[str, str]) -> Exchange:
        """One question and its answer, on a connection of its own, without following a redirect."""
        limits = self._limits
        bare, own = identity.dress(url)
        try:
            async with asyncio.timeout(limits.answer_seconds):
                wire = await connect(
                    self._guard, url, connect_seconds=limits.connect_seconds, idle_seconds=limits.idle_seconds
                )
                try:
                    await self.in_thread(lambda: wire.start(self._tls or trusted()), wire.cut)
                    response = await self.in_thread(
                        lambda: wire.ask(method, bare, {**HEADERS, **own, **headers}), wire.cut
                    )
                except BaseException:
                    wire.close()
                    raise
        except TimeoutError as error:
            raise FetchFailed(f"{url.host} keeps us waiting too long.", retryable=True) from error
        return Exchange(wire, response, url)

    async def in_thread(
        self,
        work: Callable[[], Result],
        stop: Callable[[], None] | None = None,
        undo: Callable[[Result], None] | None = None,
    ) -> Result:
        """Run blocking work in a thread of ours; see threads.in_thread."""
        return await in_thread(work, executor=self._threads, stop=stop, undo=undo)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _next(self, url: URL, response: HTTPResponse) -> URL:
        location = response.headers.get("Location", "")
        try:
            return self._guard.check_url(str(url.with_user(None).join(URL(location)))).with_user(None)
        except ValueError as error:
            raise FetchFailed(f"{url.host} redirects to something that is no URL.") from error
