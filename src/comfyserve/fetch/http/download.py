"""One download: tries, what each answer means, and the watch over those who read."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.http.answer import Facts, content_range, encoding_of, length_of, read_facts, retry_after
from comfyserve.fetch.http.ask import Asker
from comfyserve.fetch.http.body import Exchange
from comfyserve.fetch.http.check import Follower
from comfyserve.fetch.http.identity import Identity
from comfyserve.fetch.http.limits import PROGRESS, HttpLimits
from comfyserve.fetch.http.part import Part, too_large
from comfyserve.fetch.http.readers import Readers
from comfyserve.fetch.source import Arrived, Order, Unchanged

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
PACKED = frozenset({"gzip", "x-gzip", "deflate"})
NOT_OPEN = frozenset({401, 403, 407})

log = structlog.get_logger(__name__)


class TryLater(FetchFailed):
    """The origin wants to be asked again; `seconds` is how long it asks us to wait, if it does."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message, retryable=True)
        self.seconds = seconds


class Download:
    """One order, from `url` with `identity`. `advice` is a sentence more for who is not let in without one."""

    def __init__(
        self, asker: Asker, limits: HttpLimits, order: Order, url: URL, identity: Identity, advice: str = ""
    ) -> None:
        self._asker = asker
        self._limits = limits
        self._order = order
        self._url = url
        self._identity = identity
        self._more = advice
        self._final = url
        self._is_patched = False

    async def run(self, path: Path) -> Arrived | Unchanged:
        """Fill `path`. Raises as Source does; what another download can go on with stays."""
        part = await self._asker.in_thread(lambda: Part(path, self._order.limit), undo=Part.close)
        try:
            return await self._try_often(part)
        except BaseException:
            await self._asker.in_thread(part.abandon)
            raise
        finally:
            part.close()

    async def _try_often(self, part: Part) -> Arrived | Unchanged:
        failed = 0
        while True:
            before = part.received
            try:
                return await self._try(part)
            except FetchFailed as error:
                failed = 1 if part.received - before >= PROGRESS else failed + 1
                if not error.retryable or failed >= self._limits.tries:
                    raise
                log.info("fetch.again", host=self._url.host, reason=error.message, tries=failed)
                pause = self._pause(failed, error)
            await asyncio.sleep(pause)

    def _pause(self, failed: int, error: FetchFailed) -> float:
        asked = error.seconds if isinstance(error, TryLater) else None
        usual = self._limits.pauses[min(failed, len(self._limits.pauses)) - 1]
        return min(max(usual, asked or 0.0), self._limits.longest_pause)

    async def _try(self, part: Part) -> Arrived | Unchanged:
        """One question, and what comes of it."""
        exchange = await self._asker.ask(self._url, self._identity, "GET", self._condition(part))
        try:
            if exchange.response.status == 304 and self._asks_for_change(part):
                exchange.close()
                await self._asker.in_thread(part.remove)
                return Unchanged()
            await self._asker.in_thread(lambda: self._take(exchange, part))
        except BaseException:
            exchange.close()
            raise
        self._final = exchange.url
        follower = Follower(part, self._algorithms(part.facts))
        readers = Readers(self._asker, self._limits, self._identity, part, follower, self._order.on_bytes)
        await readers.read(exchange)
        await self._asker.in_thread(follower.catch_up, follower.stop)
        return await self._asker.in_thread(partial(self._arrived, part, follower))

    def _asks_for_change(self, part: Part) -> bool:
        held = self._order.held
        return held is not None and part.missing is None and bool(held.etag or held.last_modified)

    def _condition(self, part: Part) -> dict[str, str]:
        """Headers: the rest of what we have, or the file if it is not what we hold."""
        if (missing := part.missing) is not None and part.facts.condition:
            return {"Range": f"bytes={missing.at}-", "If-Range": part.facts.condition}
        held = self._order.held
        if part.missing is not None or held is None:
            return {}
        pairs = (("If-None-Match", held.etag), ("If-Modified-Since", held.last_modified))
        return {name: value for name, value in pairs if value}

    def _take(self, exchange: Exchange, part: Part) -> None:
        """Make the file ready for this answer. Raises FetchFailed, TooLarge, StorageFailed."""
        headers, status, host = exchange.response.headers, exchange.response.status, exchange.host
        missing = part.missing
        asked_for_rest = missing is not None and bool(part.facts.condition)
        if status == 416 and asked_for_rest:
            part.forget()
            raise FetchFailed(f"{host} has changed the file in the meantime.", retryable=True)
        if status not in (200, 206):
            raise self._refused(exchange)
        if (encoding_of(headers) or "gzip") not in PACKED:
            raise FetchFailed(f"{host} sends content in a coding that was not asked for.")
        facts = read_facts(headers, status)
        if status == 206:
            if missing is None or not asked_for_rest:
                raise FetchFailed(f"{host} sends a part of the file, although we asked for all of it.")
            self._take_rest(exchange, part, facts, missing.at)
            return
        if (length_of(headers) or 0) > part.limit:
            raise too_large(part.limit)
        self._is_patched = False
        part.begin(self._with_linked(facts, exchange))

    def _take_rest(self, exchange: Exchange, part: Part, facts: Facts, wanted: int) -> None:
        """The answer goes on where we are, or nothing that we have can be used."""
        told = content_range(exchange.response.headers)
        if told is None or told[0] != wanted or facts.differs(part.facts) or exchange.is_encoded:
            part.forget()
            raise FetchFailed(f"{exchange.host} does not go on with the same file.", retryable=True)
        exchange.position, exchange.until = wanted, told[1]
        self._is_patched = True

    def _with_linked(self, facts: Facts, exchange: Exchange) -> Facts:
        """The facts, with the checksum that came with a redirect when the answer itself tells none."""
        if facts.digests or not exchange.linked_sha256 or exchange.is_encoded:
            return facts
        return Facts(**{**facts.__dict__, "digests": {"sha256": exchange.linked_sha256}})

    def _refused(self, exchange: Exchange) -> FetchFailed:
        status, host = exchange.response.status, exchange.host
        sentence = f"{host} answers with status {status}."
        if status in TRY_AGAIN:
            return TryLater(sentence, retry_after(exchange.response.headers, datetime.now(UTC)))
        if status in NOT_OPEN:
            return FetchFailed(f"{host} does not open this file (status {status}). {self._advice()}")
        return FetchFailed(sentence)

    def _advice(self) -> str:
        given = self._identity.headers or self._identity.query
        return "Its credentials are not the right ones." if given else f"Give credentials for its address.{self._more}"

    def _algorithms(self, facts: Facts) -> set[str]:
        """What the file is hashed with: what it will be compared with, and SHA-256 if it is not large."""
        known = {"sha256"} if self._order.sha256 else set(facts.digests)
        large = facts.size is not None and facts.size >= self._limits.hash_below
        return known if large else known | {"sha256"}

    def _arrived(self, part: Part, follower: Follower) -> Arrived:
        """Compare the checksum and end the file. Blocks. Raises FetchFailed, StorageFailed."""
        size, facts = follower.at, part.facts
        wanted = {"sha256": self._order.sha256.lower()} if self._order.sha256 else facts.digests
        for algorithm, digest in wanted.items():
            if follower.hexdigest(algorithm) != digest:
                part.forget()
                raise FetchFailed(
                    f"{self._final.host} gives a file that does not have its {algorithm} checksum.",
                    retryable=self._is_patched,
                )
        part.finish(size)
        return Arrived(
            size=size,
            sha256=follower.hexdigest("sha256"),
            mime=facts.mime,
            names=(facts.filename or None, self._final.name, self._url.name),
            validators=facts.validators,
            head=part.head(),
        )
