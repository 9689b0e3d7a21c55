"""One download into the cache: whether a copy will do, the claim between processes, room, the source, the slot."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import structlog

from comfyserve.core.errors import FetchFailed, FetchRefused, StorageFailed, TooLarge
from comfyserve.fetch.addresses import Route
from comfyserve.fetch.cache.card import Card
from comfyserve.fetch.cache.locks import Claim
from comfyserve.fetch.cache.names import Slot, ending_from_answer, without_secrets
from comfyserve.fetch.cache.store import Copy, Store
from comfyserve.fetch.names import mime_of, safe_name, with_extension
from comfyserve.fetch.source import Arrived, Order, Source, Unchanged, Validators
from comfyserve.fetch.threads import in_thread
from comfyserve.fetch.turns import Turns
from comfyserve.fetch.weights import confirm_model
from comfyserve.ports import OnBytes, Purpose, SystemEvent, TellSystem

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

CLAIM_PAUSES = (0.02, 0.05, 0.1, 0.25)
"""Seconds between two looks at a download of another process."""

AHEAD_BYTES = 64 * 1024 * 1024
"""The most that room is made ahead of a download that does not tell its size."""


HASH_BLOCK = 1024 * 1024
HASH_STEP = 64 * 1024 * 1024
"""Bytes of a copy that are hashed between two looks at whether anybody still waits."""


@dataclass(frozen=True)
class Wish:
    """What one caller wants, read. `asker` is the seal of the credentials, empty without any; `seconds` bounds the
    download itself, not the wait for its turn."""

    route: Route
    source: Source
    slot: Slot
    given_url: str = field(repr=False)
    purpose: Purpose
    limit: int
    seconds: float
    asker: str
    sha256: str
    fresh_seconds: float
    asked_at: float


class HeldForOthers(FetchRefused):
    """The copy we hold came for other credentials, and nothing proves that this caller would get the same."""


async def blocking(call: Callable[[], Result]) -> Result:
    """A call in a thread, never left alone: when we are cancelled it ends first, and what it took hold of is let go.

    What the disk refuses becomes StorageFailed.
    """
    try:
        return await in_thread(call, undo=_let_go)
    except OSError as error:
        raise StorageFailed(f"The download cache cannot be used: {error.strerror}.") from error


def _let_go(held: object) -> None:
    if isinstance(held, Copy | Claim):
        held.release()


class Downloads:
    """Brings files into the store, `at_once` of each purpose at a time. An origin has `check_seconds` to say whether a
    caller's credentials open what we hold."""

    def __init__(
        self,
        store: Store,
        at_once: int,
        check_seconds: float,
        *,
        clock: Callable[[], float],
        tell: TellSystem | None = None,
    ) -> None:
        """`tell` hears of every file that arrived."""
        self._tell = tell
        self._store = store
        self._clock = clock
        self._check_seconds = check_seconds
        self._turns: dict[Purpose, Turns] = {"input": Turns(at_once), "model": Turns(at_once)}

    async def find(self, slot: Slot) -> Copy | None:
        """The copy in a slot, pinned."""
        return await blocking(lambda: self._store.find(slot))

    async def again(self, copy: Copy) -> Copy | None:
        """A second pin on a copy."""
        return await blocking(lambda: self._store.again(copy))

    async def may_use(self, copy: Copy, wish: Wish) -> bool:
        """Whether a copy serves a wish; it stays pinned only if so.

        Raises TooLarge, HeldForOthers, and what the source says of credentials that do not open the address.
        """
        usable = False
        try:
            is_own = copy.card.owner == wish.asker and copy.card.auth_required == (wish.route.auth is not None)
            usable = await (self._serves_again(copy, wish) if is_own else self._serves_too(copy, wish))
            if usable and copy.card.size > wish.limit:
                usable = False
                raise TooLarge(f"The file is larger than the {wish.limit} bytes that are allowed.")
            return usable
        finally:
            if not usable:
                copy.release()

    async def _serves_again(self, copy: Copy, wish: Wish) -> bool:
        """A copy that came for the same credentials, or for none as now."""
        if not await self._matches(copy, wish) or not self._is_fresh(copy.card, wish):
            return False
        if not copy.card.auth_required:
            return True
        same = await self._check(copy.card, wish)
        return same or not _tells_states(copy.card.validators)

    async def _serves_too(self, copy: Copy, wish: Wish) -> bool:
        """A copy that came for others: the origin must prove that it is what it gives to this caller."""
        if wish.route.auth is None or not await self._check(copy.card, wish) or not await self._matches(copy, wish):
            raise HeldForOthers("Authentication required to access this cached file: give `credentials` for it.")
        return True

    async def _check(self, card: Card, wish: Wish) -> bool:
        try:
            async with asyncio.timeout(self._check_seconds):
                return await wish.source.check(wish.route.url, wish.route.auth, card.validators)
        except TimeoutError as error:
            sentence = (
                f"{wish.route.host} does not say within {self._check_seconds:g} s whether credentials open the file."
            )
            raise FetchFailed(sentence, retryable=True) from error

    async def _matches(self, copy: Copy, wish: Wish) -> bool:
        """Whether the content is what the caller says; a large file that was never hashed is hashed now, once."""
        card = copy.card
        if wish.sha256 and not card.sha256 and not card.is_folder:
            card = await blocking(partial(self._store.note_sha256, copy, await _sha256_of(copy)))
        return not wish.sha256 or card.is_folder or card.sha256 == wish.sha256

    async def run(self, wish: Wish, on_bytes: OnBytes) -> tuple[Copy, bool]:
        """The file, pinned, and whether nothing of it was downloaded by us."""
        async with self._claimed(wish.slot, on_bytes) as claim:
            copy = await self.find(wish.slot)
            held = _held(copy, wish)
            if copy is not None and await self.may_use(copy, wish):
                return copy, True
            async with self._turns[wish.purpose].take(wish.route.host):
                return await self._download(wish, claim, held, on_bytes)

    async def _download(
        self, wish: Wish, claim: Claim, held: Validators | None, on_bytes: OnBytes
    ) -> tuple[Copy, bool]:
        began = self._clock()
        try:
            arrived = await self._in_time(wish, self._receive(wish, claim, held, on_bytes))
        except FetchFailed as error:
            if not error.retryable:
                await blocking(lambda: self._store.discard(wish.slot))
            elif (old := await self._stale(wish)) is not None:
                log.warning("fetch.stale_copy", host=wish.route.host, reason=error.message)
                return old, True
            raise
        except (TooLarge, StorageFailed):
            await blocking(lambda: self._store.discard(wish.slot))
            raise
        if isinstance(arrived, Unchanged):
            if (copy := await self.find(wish.slot)) is None:
                return await self._download(wish, claim, None, on_bytes)
            await blocking(partial(self._store.confirm, copy, self._clock()))
            return copy, True
        copy = await self._take_in(wish, claim, arrived)
        if self._tell is not None:
            seconds = max(0.0, round(self._clock() - began, 3))
            data = {"url": copy.card.url, "local_path": str(copy.path), "size": copy.card.size, "duration": seconds}
            self._tell(SystemEvent("storage", "file_downloaded", data))
        return copy, False

    async def _in_time(self, wish: Wish, receiving: Awaitable[Arrived | Unchanged]) -> Arrived | Unchanged:
        try:
            async with asyncio.timeout(wish.seconds):
                return await receiving
        except TimeoutError as error:
            raise FetchFailed(
                f"{wish.route.host} did not give the file within {wish.seconds:g} s.", retryable=True
            ) from error

    async def _receive(
        self, wish: Wish, claim: Claim, held: Validators | None, on_bytes: OnBytes
    ) -> Arrived | Unchanged:
        """The source's download, while room is made for it as its size becomes known."""
        growth = _Growth(claim, on_bytes)
        order = Order(wish.route.url, wish.limit, wish.route.auth, held, wish.sha256, growth.told)
        room = asyncio.ensure_future(self._make_room(wish.slot, claim, growth))
        load = asyncio.ensure_future(wish.source.download(order, self._store.incoming(wish.slot)))
        try:
            await asyncio.wait([room, load], return_when=asyncio.FIRST_COMPLETED)
            if room.done():
                room.result()
            return load.result()
        except OSError as error:
            raise StorageFailed(f"The file cannot be kept on disk: {error.strerror}.") from error
        finally:
            for task in (room, load):
                task.cancel()
            await asyncio.gather(room, load, return_exceptions=True)

    async def _make_room(self, slot: Slot, claim: Claim, growth: "_Growth") -> None:
        """Runs until cancelled. Raises StorageFailed when there is no room, TooLarge when there never is."""
        while True:
            size, ahead = await growth.beyond(claim.reserved)
            await blocking(partial(self._store.reserve, slot, claim, size, ahead))

    async def _take_in(self, wish: Wish, claim: Claim, arrived: Arrived) -> Copy:
        try:
            confirm_sha256(arrived, wish.sha256, wish.route.host)
            card = arrived_card(arrived, wish, self._clock())
            ending = wish.slot.ending or ending_from_answer(arrived.names, card.mime)
            if wish.purpose == "model" and not card.is_folder:
                path = self._store.incoming(wish.slot)
                await blocking(lambda: confirm_model(path, ending, card.mime, wish.route.host))
            return await blocking(lambda: self._store.take_in(wish.slot, claim, card, ending))
        except (FetchFailed, StorageFailed, TooLarge):
            await blocking(lambda: self._store.discard(wish.slot))
            raise

    async def _stale(self, wish: Wish) -> Copy | None:
        """The copy that serves while the origin cannot be reached: a public one, since nobody can check credentials."""
        copy = await self.find(wish.slot)
        if copy is None:
            return None
        if copy.card.auth_required or wish.route.auth is not None or not await self._matches(copy, wish):
            copy.release()
            return None
        return copy

    @asynccontextmanager
    async def _claimed(self, slot: Slot, on_bytes: OnBytes) -> AsyncIterator[Claim]:
        """The right to fill a slot. While another process has it, its progress is told."""
        last: tuple[int, int | None] = (0, None)
        count = 0
        while (claim := await blocking(lambda: self._store.claim(slot))) is None:
            await asyncio.sleep(CLAIM_PAUSES[min(count, len(CLAIM_PAUSES) - 1)])
            count += 1
            progress = await blocking(lambda: self._store.progress(slot))
            if progress not in (last, (0, None)):
                last = progress
                on_bytes(*progress)
        try:
            yield claim
        finally:
            claim.release()

    def _is_fresh(self, card: Card, wish: Wish) -> bool:
        """Whether the copy may go without asking the origin."""
        if wish.purpose == "model":
            return True
        since = self._clock() - card.checked_at
        return since >= 0 and (card.checked_at >= wish.asked_at or since <= wish.fresh_seconds)


class _Growth:
    """How large a download is or will be, for whoever makes room for it."""

    def __init__(self, claim: Claim, on_bytes: OnBytes) -> None:
        self._claim = claim
        self._on_bytes = on_bytes
        self._changed = asyncio.Event()
        self._size = 0
        self._ahead = 0

    def told(self, received: int, total: int | None) -> None:
        self._size = max(received, total or 0)
        self._ahead = 0 if total is not None else min(received, AHEAD_BYTES)
        self._changed.set()
        self._claim.note(received, total)
        self._on_bytes(received, total)

    async def beyond(self, reserved: int) -> tuple[int, int]:
        """Wait until more than this is needed; the answer is what to reserve, and what would be good to have more."""
        while self._size <= reserved:
            await self._changed.wait()
            self._changed.clear()
        return self._size, self._ahead


def confirm_sha256(arrived: Arrived, wanted: str, sender: str) -> None:
    """Raise FetchFailed when the caller knows the content's SHA-256 and it is another."""
    if wanted and not arrived.is_folder and arrived.sha256.lower() != wanted:
        raise FetchFailed(f"{sender} gave a file whose SHA-256 is not the one that was asked for.")


def arrived_card(arrived: Arrived, wish: Wish, now: float) -> Card:
    """What to remember of a file that has arrived."""
    last = PurePosixPath(unquote(urlsplit(wish.route.url).path)).name
    name = safe_name(*arrived.names, last)
    mime = mime_of(arrived.head, arrived.mime, name)
    return Card(
        url=without_secrets(wish.given_url),
        auth_required=wish.route.auth is not None,
        cached_at=now,
        checked_at=now,
        size=arrived.size,
        modified_ns=0,
        sha256=arrived.sha256,
        mime=mime,
        filename=name if arrived.is_folder else with_extension(name, mime),
        validators=arrived.validators,
        is_folder=arrived.is_folder,
        owner=wish.asker,
    )


async def _sha256_of(copy: Copy) -> str:
    digest, at = hashlib.sha256(), 0
    while at < copy.card.size:
        await blocking(partial(_hash_step, digest, copy.path, at))
        at += HASH_STEP
    return digest.hexdigest()


def _hash_step(digest: "hashlib._Hash", path: Path, at: int) -> None:
    with path.open("rb") as file:
        file.seek(at)
        left = HASH_STEP
        while left and (data := file.read(min(left, HASH_BLOCK))):
            digest.update(data)
            left -= len(data)


def _held(copy: Copy | None, wish: Wish) -> Validators | None:
    """What to tell the origin about our copy; None when it would not do, or when nothing tells it from others."""
    if copy is None or (wish.sha256 and not copy.card.is_folder and copy.card.sha256 != wish.sha256):
        return None
    return copy.card.validators if _tells_states(copy.card.validators) else None


def _tells_states(validators: Validators) -> bool:
    return bool(validators.etag or validators.last_modified)
