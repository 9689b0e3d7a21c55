"""Addresses that the operator configured: reached wherever they are, and nothing else is."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from comfyserve.core.credentials import Credential
from comfyserve.fetch.addresses import WITH_HOST
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.git_url import PREFIX
from comfyserve.fetch.guard import AllowPrivate, Guard
from comfyserve.fetch.sender import HttpSender
from comfyserve.ports import Fetch, Fetched, OnBytes, Purpose

REALM = "operator"
"""Whose copies in the cache those are that no caller could have fetched."""


def sender_to(url: str, *, proxies: Mapping[str, str] | None = None, answer_seconds: float = 30.0) -> HttpSender:
    """A Sender to this one host, which may be private. Build it in a loop."""
    return HttpSender(Guard(only_host(url), proxies=proxies), answer_seconds=answer_seconds)


async def put_to(sender: HttpSender, url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Put a small body; the status of the answer. Raises FetchRefused, FetchFailed."""

    async def content() -> AsyncIterator[bytes]:
        yield body

    return await sender.send("PUT", url, content(), headers, length=len(body))


def only_host(url: str) -> AllowPrivate:
    """Leave to call the host of an address, private or not."""
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    try:
        return AllowPrivate(networks=(ip_network(ip_address(host)),))
    except ValueError:
        return AllowPrivate(hosts=frozenset({host}))


def hosts_of(urls: Iterable[str]) -> AllowPrivate:
    """Leave to call the hosts of these addresses, as far as they have one."""
    allowed = AllowPrivate()
    for url in urls:
        if _has_host(url):
            allowed = allowed.and_also(only_host(url))
    return allowed


class OperatorFetch:
    """Implements Fetch for what the operator configured. What any caller may fetch as well is fetched for all, and
    there is one copy of it; everything else is fetched by `own`, whose copies no caller is given.

    `guard` is the policy for callers; `lends`: whether they fetch with the server's credentials.
    """

    def __init__(self, everybodys: Fetching, own: Fetching, guard: Guard, *, lends: bool) -> None:
        self._everybodys = everybodys
        self._own = own
        self._guard = guard
        self._lends = lends

    @asynccontextmanager
    async def fetch(
        self,
        url: str,
        *,
        purpose: Purpose = "input",
        limit: int | None = None,
        credentials: Sequence[Credential] = (),
        sha256: str = "",
        on_bytes: OnBytes | None = None,
    ) -> AsyncIterator[Fetched]:
        """The file of an address; see ports.Fetch."""
        source: Fetch = self._everybodys if await self._is_open(url) else self._own
        found: AbstractAsyncContextManager[Fetched] = source.fetch(
            url, purpose=purpose, limit=limit, credentials=credentials, sha256=sha256, on_bytes=on_bytes
        )
        async with found as fetched:
            yield fetched

    async def link(self, path: Path, destination: Path) -> None:
        """Place a link to a fetched file; see ports.Fetch."""
        await self._own.link(path, destination)

    async def close(self) -> None:
        """Stop the downloads that are the operator's alone."""
        await self._own.stop()

    async def _is_open(self, url: str) -> bool:
        if _has_host(url):
            return await self._guard.admits(url.removeprefix(PREFIX))
        return self._lends


def _has_host(url: str) -> bool:
    return url.partition("://")[0].lower() in WITH_HOST
