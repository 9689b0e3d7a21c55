"""Whose download is next."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """`at_once` downloads run at the same time, but of one host no more than half of them: a slow one keeps nobody else
    waiting."""

    def __init__(self, at_once: int) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._of_one = (at_once + 1) // 2
        self._hosts: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def take(self, host: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        own, here = self._hosts.setdefault(host, (asyncio.Semaphore(self._of_one), []))
        here.append(None)
        try:
            async with own, self._all:
                yield
        finally:
            here.pop()
            if not here:
                del self._hosts[host]
