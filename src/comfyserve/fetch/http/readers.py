"""Those who read one file: the first answer, and more connections when the file is large and they pay."""

import asyncio
from functools import partial
from typing import Any

from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.http.answer import content_range, read_facts
from comfyserve.fetch.http.ask import Asker
from comfyserve.fetch.http.body import Exchange, fill
from comfyserve.fetch.http.check import BLOCK_BYTES, Follower
from comfyserve.fetch.http.identity import Identity
from comfyserve.fetch.http.limits import HttpLimits
from comfyserve.fetch.http.part import Part, Stretch
from comfyserve.ports import OnBytes

TICK_SECONDS = 0.1
TELL_SECONDS = 0.25
PIECES_EACH = 4


class Changed(FetchFailed):
    """The origin has another file now; nothing that is here belongs to it."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} has changed the file in the meantime.", retryable=True)


class Readers:
    """Fill a part that has begun, hash it meanwhile, tell how far it is, and end what is too slow."""

    def __init__(
        self,
        asker: Asker,
        limits: HttpLimits,
        identity: Identity,
        part: Part,
        follower: Follower,
        on_bytes: OnBytes,
    ) -> None:
        self._asker = asker
        self._limits = limits
        self._identity = identity
        self._part = part
        self._follower = follower
        self._on_bytes = on_bytes
        self._url = URL()
        self._hashing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._told = self._kept = self._window = self._loop.time()
        self._window_bytes = self._began_with = part.received
        self._spread = False

    async def read(self, first: Exchange) -> None:
        """Read all that is missing, beginning with the answer that is there.

        Raises FetchFailed when something still is missing in the end; TooLarge, StorageFailed.
        """
        self._url = first.url
        self._on_bytes(self._part.received, self._part.facts.size)
        reading = {asyncio.create_task(self._read_on(first))}
        failure: FetchFailed | None = None
        try:
            while reading:
                done, reading = await asyncio.wait(reading, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    failure = one.result() or failure
                if reading:
                    await self._watch()
                    reading |= self._more(first)
            if self._hashing is not None:
                await self._hashing
        except Changed:
            self._part.forget()
            raise
        finally:
            await _end(*reading, *((self._hashing,) if self._hashing else ()))
        self._on_bytes(self._part.received, self._part.facts.size)
        if not self._part.is_whole:
            raise failure or FetchFailed(f"{first.host} gave only a part of the file.", retryable=True)

    async def _read_on(self, exchange: Exchange | None) -> FetchFailed | None:
        """Read stretch after stretch until none is left. A connection that fails ends this reader alone: what it has
        not read is for the others, or for the next try."""
        try:
            while (stretch := self._claim()) is not None:
                if exchange is None or not exchange.goes_on_at(stretch.at):
                    exchange = await self._ask_rest(exchange, stretch)
                await self._fill(exchange, stretch)
        except Changed:
            raise
        except FetchFailed as error:
            return error
        finally:
            if exchange is not None:
                exchange.close()
        return None

    async def _fill(self, exchange: Exchange, stretch: Stretch) -> None:
        try:
            await self._asker.in_thread(partial(fill, exchange, stretch, self._part), exchange.wire.cut)
        finally:
            stretch.taken = False

    async def _ask_rest(self, before: Exchange | None, stretch: Stretch) -> Exchange:
        """Ask the origin for this stretch on a new connection; when that fails the stretch is free again."""
        if before is not None:
            before.close()
        try:
            return await self._ask_range(stretch)
        except BaseException:
            stretch.taken = False
            raise

    async def _ask_range(self, stretch: Stretch) -> Exchange:
        facts = self._part.facts
        headers = {"Range": f"bytes={stretch.at}-{stretch.end - 1}", "If-Range": facts.condition}
        exchange = await self._asker.ask_once(self._url, self._identity, "GET", headers)
        response = exchange.response
        told = content_range(response.headers)
        new = read_facts(response.headers, response.status)
        if response.status == 206 and told and told[:2] == (stretch.at, stretch.end) and not new.differs(facts):
            exchange.position, exchange.until = told[:2]
            return exchange
        exchange.close()
        if response.status in (200, 206) and new.differs(facts):
            raise Changed(exchange.host)
        raise FetchFailed(f"{exchange.host} gives no parts of the file (status {response.status}).", retryable=True)

    def _claim(self) -> Stretch | None:
        stretch = self._part.missing
        if stretch is not None:
            stretch.taken = True
        return stretch

    def _more(self, first: Exchange) -> set["asyncio.Task[FetchFailed | None]"]:
        """More readers, once, when much is left, it would take its time, and the origin gives ranges."""
        limits, part = self._limits, self._part
        left = part.facts.size - part.received if part.facts.size else 0
        if self._spread or limits.connections < 2 or left < limits.parallel_from or not part.facts.condition:
            return set()
        if first.response.status != 206 and first.response.headers.get("Accept-Ranges", "").lower() != "bytes":
            return set()
        elapsed, came = self._loop.time() - self._began, part.received - self._began_with
        if elapsed < limits.parallel_after or left * elapsed < limits.parallel_rest * came:
            return set()
        self._spread = True
        # A piece costs a connection, so there are few: a handful for each reader keeps all busy to the end.
        _cut(part, max(limits.piece, left // (limits.connections * PIECES_EACH)))
        return {asyncio.create_task(self._read_on(None)) for _ in range(limits.connections - 1)}

    async def _watch(self) -> None:
        """Every tick: hash, tell, keep. Raises FetchFailed when hardly anything comes."""
        now, part = self._loop.time(), self._part
        if (self._hashing is None or self._hashing.done()) and part.frontier - self._follower.at >= 8 * BLOCK_BYTES:
            self._hashing = asyncio.create_task(self._asker.in_thread(self._follower.catch_up, self._follower.stop))
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self._on_bytes(part.received, part.facts.size)
        if now - self._kept >= self._limits.keep_seconds:
            self._kept = now
            await self._asker.in_thread(part.keep)
        if now - self._window >= self._limits.slow_seconds:
            if part.received - self._window_bytes < self._limits.slow_rate * self._limits.slow_seconds:
                raise FetchFailed(
                    f"The file comes with less than {self._limits.slow_rate} bytes a second.", retryable=True
                )
            self._window, self._window_bytes = now, part.received


def _cut(part: Part, piece: int) -> None:
    """Cut what is far ahead of its readers into pieces that others can take."""
    for stretch in tuple(part.stretches):
        start, end = stretch.seen + piece, stretch.end
        if end - start < piece:
            continue
        stretch.end = start
        part.stretches += [Stretch(at, min(at + piece, end)) for at in range(start, end, piece)]


async def _end(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        done, _ = await asyncio.wait(tasks)
        for task in done:
            task.cancelled() or task.exception()
