"""The bell of one process, and how it hears other processes that share the database."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

REMEMBERED = 10_000
"""Topics whose counters are kept. A forgotten topic seems to have rung, which costs its waiter one look."""

LISTEN_SECONDS = 0.05
"""How often the database is asked whether another process has written to it; a question takes some microseconds."""


class LocalBell:
    """Implements ports.Bell among the tasks of one event loop."""

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._rings = 0
        self._forgotten = 0
        self._last: OrderedDict[str, int] = OrderedDict()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def ring(self, topic: str) -> None:
        """Wake everybody who waits for the topic. To be called in the loop's own thread."""
        self._rings += 1
        self._last[topic] = self._rings
        self._last.move_to_end(topic)
        while len(self._last) > self._remembered:
            _, self._forgotten = self._last.popitem(last=False)
        for waiter in self._waiting.pop(topic, ()):
            if not waiter.done():
                waiter.set_result(None)

    def ring_all(self) -> None:
        """Wake everybody, whatever the topic: something changed, and nobody knows what."""
        self._rings += 1
        self._forgotten = self._rings
        self._last.clear()
        waiting, self._waiting = self._waiting, {}
        for waiter in (waiter for waiters in waiting.values() for waiter in waiters):
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, topic: str, seconds: float, *, since: int | None = None) -> int:
        """Return at the next ring, at once if there was one after `since`, or after this many seconds."""
        if since is not None and self.now(topic) != since:
            return self.now(topic)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(topic, set()).add(waiter)
        try:
            await asyncio.wait([waiter], timeout=seconds)
        finally:
            waiter.cancel()
            self._leave(topic, waiter)
        return self.now(topic)

    def now(self, topic: str) -> int:
        """The topic's counter at this moment."""
        return self._last.get(topic, self._forgotten)

    def _leave(self, topic: str, waiter: "asyncio.Future[None]") -> None:
        waiters = self._waiting.get(topic)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[topic]


async def hear_others(bell: LocalBell, version: Callable[[], Awaitable[int]]) -> None:
    """Ring for what other processes commit, until cancelled. `version` changes with every commit of theirs."""
    known: int | None = None
    while True:
        try:
            now = await version()
        except Exception:
            log.exception("database_not_heard")
        else:
            if now != known:
                bell.ring_all()
            known = now
        await asyncio.sleep(LISTEN_SECONDS)
