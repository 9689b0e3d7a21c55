"""The Fetch port: every kind of address, through the download cache, under the outbound policy."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from comfyserve.core.addresses import is_data
from comfyserve.core.credentials import Credential, auth_for, write_auth
from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.addresses import Kind, Router
from comfyserve.fetch.cache.names import ANONYMOUS, place_of, slot_of
from comfyserve.fetch.cache.shared import Job, Shared, Waiter
from comfyserve.fetch.cache.store import Copy, Store
from comfyserve.fetch.download import Downloads, HeldForOthers, Wish, blocking, confirm_sha256
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.names import mime_of, safe_name, with_extension
from comfyserve.fetch.source import Order, Source, Unchanged, nobody
from comfyserve.ports import Fetched, OnBytes, Purpose, TellSystem


@dataclass(frozen=True)
class Caps:
    """The most bytes of one file, and the most seconds that its download takes once it has begun."""

    bytes: int
    seconds: float


@dataclass(frozen=True)
class FetchingLimits:
    """Caps by purpose; how many seconds a copy of an input goes without asking the origin; simultaneous downloads, of
    inputs and of models each; how many seconds an origin has to say whether credentials open what we hold."""

    input: Caps = Caps(250 * 1024**2, 120.0)
    model: Caps = Caps(32 * 1024**3, 7200.0)
    fresh_seconds: float = 60.0
    at_once: int = 8
    check_seconds: float = 60.0

    def caps(self, purpose: Purpose) -> Caps:
        """Those of a purpose."""
        return self.model if purpose == "model" else self.input


class Fetching:
    """Implements Fetch over one Source per kind of address. `clock` gives seconds since 1970.

    A model's copy is used without asking its origin. An input's copy is used unasked for `fresh_seconds`, then the
    origin is asked whether it is still the file; while it cannot be reached the copy serves. What was fetched with
    credentials is given to a caller only after the origin proved, each time, that it gives the same to theirs; who
    gets another file, or one of which nothing proves it, has a copy of their own.
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
        azure_endpoint: str = "",
        added: Set[str] = frozenset(),
        tell: TellSystem | None = None,
        realm: str = "",
    ) -> None:
        """`realm`: for whom alone the copies of this one are, where several share a store; empty: for all callers."""
        self._sources = sources
        self._realm = realm
        self._router = Router(frozenset(sources), azure_account, azure_endpoint, added)
        self._store = store
        self._guard = guard
        self._limits = limits
        self._clock = clock
        self._shared = Shared()
        self._downloads = Downloads(store, limits.at_once, limits.check_seconds, clock=clock, tell=tell)

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
        caps = self._limits.caps(purpose)
        most = caps.bytes if limit is None else min(limit, caps.bytes)
        if is_data(url):
            async with self._from_data(Order(url, most, sha256=sha256)) as fetched:
                yield fetched
            return
        route = self._router.route(url, auth_for(url, credentials), purpose)
        if route.has_host:
            self._guard.check_url(route.url.removeprefix("git+"))
        wish = Wish(
            route=route,
            source=self._sources[route.kind],
            slot=slot_of(url, place_of(route.auth), self._realm),
            given_url=url,
            purpose=purpose,
            limit=most,
            seconds=caps.seconds,
            asker="" if route.auth is None else self._store.seal(json.dumps(write_auth(route.auth))),
            sha256=sha256.lower(),
            fresh_seconds=self._limits.fresh_seconds,
            asked_at=self._clock(),
        )
        copy, cached = await self._obtain(wish, on_bytes or nobody)
        try:
            yield _fetched(copy, cached, wish.sha256)
        finally:
            copy.release()

    async def link(self, path: Path, destination: Path) -> None:
        """Place a symlink to a fetched file at `destination`, or adopt the one that is there: eviction of the file
        removes it. Raises NotFound, Conflict (something else lies there), StorageFailed."""
        await blocking(lambda: self._store.link(path, destination))

    async def close(self) -> None:
        """Stop, and let go of the store."""
        await self.stop()
        await blocking(self._store.close)

    async def stop(self) -> None:
        """Stop downloads and let go of connections; what has arrived of them is kept for the next."""
        await self._shared.close()
        for source in self._sources.values():
            await source.close()

    async def _obtain(self, wish: Wish, on_bytes: OnBytes) -> tuple[Copy, bool]:
        try:
            return await self._from_slot(wish, on_bytes)
        except HeldForOthers as error:
            return await self._apart(wish, on_bytes, error)

    async def _from_slot(self, wish: Wish, on_bytes: OnBytes) -> tuple[Copy, bool]:
        copy = await self._downloads.find(wish.slot)
        if copy is not None and await self._downloads.may_use(copy, wish):
            return copy, True
        return await self._share(wish, on_bytes)

    async def _apart(self, wish: Wish, on_bytes: OnBytes, held: HeldForOthers) -> tuple[Copy, bool]:
        """We hold what the origin gave to others; this caller gets what it gives to them, in a slot of their own. Also
        without credentials: anybody may fetch a public file with some."""
        slot = slot_of(wish.given_url, place_of(wish.route.auth), self._realm + (wish.asker or ANONYMOUS))
        try:
            return await self._from_slot(replace(wish, slot=slot), on_bytes)
        except (FetchFailed, FetchRefused) as error:
            if wish.asker or (isinstance(error, FetchFailed) and error.retryable):
                raise
            raise held from error

    async def _share(self, wish: Wish, on_bytes: OnBytes) -> tuple[Copy, bool]:
        async def work(job: Job) -> tuple[Copy, bool]:
            return await self._downloads.run(replace(wish, limit=job.limit), job.told)

        key = (wish.slot, wish.route, wish.sha256, wish.purpose)
        return await self._shared.run(key, Waiter(wish.limit, on_bytes), work, self._downloads.again)

    @asynccontextmanager
    async def _from_data(self, order: Order) -> AsyncIterator[Fetched]:
        path = await blocking(self._store.temporary)
        try:
            arrived = await self._sources["data"].download(order, path)
            if isinstance(arrived, Unchanged):
                raise FetchFailed("The data URI gave nothing.")
            confirm_sha256(arrived, order.sha256.lower(), "The data URI")
            mime = mime_of(arrived.head, arrived.mime, "")
            yield Fetched(path, arrived.size, mime, with_extension(safe_name(), mime), arrived.sha256)
        finally:
            await blocking(lambda: path.unlink(missing_ok=True))


def _fetched(copy: Copy, cached: bool, sha256: str) -> Fetched:
    """What is told of a copy; one that serves for a checksum has it."""
    card = copy.card
    return Fetched(
        path=copy.path,
        size=card.size,
        mime=card.mime,
        filename=card.filename,
        sha256=card.sha256 or ("" if card.is_folder else sha256),
        cached=cached,
        is_folder=card.is_folder,
        private=card.auth_required,
    )
