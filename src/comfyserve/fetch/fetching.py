"""The Fetch port: every kind of address, through the download cache, under the outbound policy."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from comfyserve.core.credentials import Credential, auth_for
from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.addresses import Kind, Router
from comfyserve.fetch.cache.card import Card
from comfyserve.fetch.cache.names import ANONYMOUS, place_of, slot_of
from comfyserve.fetch.cache.shared import Job, Shared, Waiter
from comfyserve.fetch.cache.store import Copy, Store
from comfyserve.fetch.download import Downloads, HeldPrivately, Wish, arrived_card, blocking, confirm_sha256
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.source import Order, Source, Unchanged, nobody
from comfyserve.ports import Fetched, OnBytes, Purpose


@dataclass(frozen=True)
class Caps:
    """The most bytes of one file, and the most seconds that a caller waits for it."""

    bytes: int
    seconds: float


@dataclass(frozen=True)
class FetchingLimits:
    """Caps by purpose; how many seconds a copy of an input goes without asking the origin; simultaneous downloads, of
    inputs and of models each."""

    input: Caps = Caps(250 * 1024**2, 120.0)
    model: Caps = Caps(64 * 1024**3, 7200.0)
    fresh_seconds: float = 60.0
    at_once: int = 8

    def caps(self, purpose: Purpose) -> Caps:
        """Those of a purpose."""
        return self.model if purpose == "model" else self.input


class Fetching:
    """Implements Fetch over one Source per kind of address. `clock` gives seconds since 1970.

    A model's copy is used without asking its origin. An input's copy is used unasked for `fresh_seconds`, then the
    origin is asked whether it is still the file; while it cannot be reached the copy serves. What was fetched with
    credentials is given only to callers whose credentials open it, each time.
    """

    def __init__(
        self,
        sources: Mapping[Kind, Source],
        store: Store,
        guard: Guard,
        limits: FetchingLimits,
        *,
        clock: Callable[[], float],
        azure_account: str = "",
    ) -> None:
        self._sources = sources
        self._router = Router(frozenset(sources), azure_account)
        self._store = store
        self._guard = guard
        self._limits = limits
        self._clock = clock
        self._shared = Shared()
        self._downloads = Downloads(store, limits.at_once, clock=clock)

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
        """The file of an address; see ports.Fetch. What comes from a data URI is not cached."""
        route = self._router.route(url, auth_for(url, credentials), purpose)
        if route.has_host:
            self._guard.check_url(route.url.removeprefix("git+"))
        caps = self._limits.caps(purpose)
        wish = Wish(
            route=route,
            source=self._sources[route.kind],
            slot=slot_of(url, place_of(route.auth)),
            given_url=url,
            purpose=purpose,
            limit=caps.bytes if limit is None else min(limit, caps.bytes),
            sha256=sha256.lower(),
            fresh_seconds=self._limits.fresh_seconds,
            asked_at=self._clock(),
        )
        if route.kind == "data":
            async with self._uncached(wish) as fetched:
                yield fetched
            return
        copy, cached = await self._in_time(wish, caps.seconds, on_bytes or nobody)
        try:
            yield _fetched(copy, cached)
        finally:
            copy.release()

    async def link(self, path: Path, destination: Path) -> None:
        """Place a symlink to a fetched file at `destination`, or adopt the one that is there: eviction of the file
        removes it. Raises NotFound, Conflict (something else lies there), StorageFailed."""
        await blocking(lambda: self._store.link(path, destination))

    async def close(self) -> None:
        """Stop downloads and let go of connections; what has arrived of them is kept for the next."""
        await self._shared.close()
        await blocking(self._store.close)
        for source in self._sources.values():
            await source.close()

    async def _in_time(self, wish: Wish, seconds: float, on_bytes: OnBytes) -> tuple[Copy, bool]:
        try:
            async with asyncio.timeout(seconds):
                return await self._obtain(wish, on_bytes)
        except TimeoutError as error:
            raise FetchFailed(
                f"{wish.route.host} did not give the file within {seconds:g} s.", retryable=True
            ) from error

    async def _obtain(self, wish: Wish, on_bytes: OnBytes) -> tuple[Copy, bool]:
        try:
            return await self._from_slot(wish, on_bytes)
        except HeldPrivately as error:
            return await self._without_credentials(wish, on_bytes, error)

    async def _from_slot(self, wish: Wish, on_bytes: OnBytes) -> tuple[Copy, bool]:
        copy = await self._downloads.find(wish.slot)
        if copy is not None and await self._downloads.may_use(copy, wish):
            return copy, True
        return await self._share(wish, on_bytes)

    async def _without_credentials(self, wish: Wish, on_bytes: OnBytes, private: HeldPrivately) -> tuple[Copy, bool]:
        """We hold the file for callers with credentials; who has none gets what the origin gives without, if anything:
        it may be public after all, since anybody may fetch a public file with credentials."""
        try:
            return await self._from_slot(replace(wish, slot=slot_of(wish.given_url, ANONYMOUS)), on_bytes)
        except (FetchFailed, FetchRefused) as error:
            if isinstance(error, FetchFailed) and error.retryable:
                raise
            raise private from error

    async def _share(self, wish: Wish, on_bytes: OnBytes) -> tuple[Copy, bool]:
        async def work(job: Job) -> tuple[Copy, bool]:
            return await self._downloads.run(replace(wish, limit=job.limit), job.told)

        key = (wish.slot, wish.route, wish.sha256, wish.purpose)
        return await self._shared.run(key, Waiter(wish.limit, on_bytes), work, self._downloads.again)

    @asynccontextmanager
    async def _uncached(self, wish: Wish) -> AsyncIterator[Fetched]:
        path = await blocking(self._store.temporary)
        try:
            arrived = await wish.source.download(Order(wish.route.url, wish.limit, sha256=wish.sha256), path)
            if isinstance(arrived, Unchanged):
                raise FetchFailed("The address gave nothing.")
            confirm_sha256(arrived, wish)
            yield _fetched_of(path, arrived_card(arrived, wish, self._clock()), cached=False)
        finally:
            await blocking(lambda: path.unlink(missing_ok=True))


def _fetched(copy: Copy, cached: bool) -> Fetched:
    return _fetched_of(copy.path, copy.card, cached=cached)


def _fetched_of(path: Path, card: Card, *, cached: bool) -> Fetched:
    return Fetched(path, card.size, card.mime, card.filename, card.sha256, cached, card.is_folder)
