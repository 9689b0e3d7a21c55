"""Whose turn it is at something that only a few have at the same time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """`at_once` turns at the same time. Next is a key that has the fewest now, and of those who waits longest."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._having: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def take(self, key: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((key, turn))
        self._give()
        try:
            await turn
            yield
        finally:
            if (key, turn) in self._waiting:
                self._waiting.remove((key, turn))
            else:
                self._take_back(key)

    def _give(self) -> None:
        while self._free and self._waiting:
            key, turn = min(self._waiting, key=lambda waits: self._having[waits[0]])
            self._waiting.remove((key, turn))
            self._free -= 1
            self._having[key] += 1
            if not turn.done():
                turn.set_result(None)

    def _take_back(self, key: str) -> None:
        self._free += 1
        self._having[key] -= 1
        if not self._having[key]:
            del self._having[key]
        self._give()
