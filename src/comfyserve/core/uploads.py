"""Uploads that are under way, by where they go: the newest to a place takes over."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Uploads:
    """Shared by all who upload in one process."""

    def __init__(self) -> None:
        self._under_way: defaultdict[Hashable, set[asyncio.Task[Any]]] = defaultdict(set)

    async def run(self, place: Hashable, work: Callable[[], Awaitable[Result]]) -> Result | None:
        """The result of the work, which begins when every older one to the same place has come to its end; None when a
        newer one stopped this. Raises what the work raises."""
        older = self._stopped(place)

        async def take_over() -> Result:
            if older:
                await asyncio.wait(older)
            return await work()

        task = asyncio.ensure_future(take_over())
        self._under_way[place].add(task)
        task.add_done_callback(lambda done: self._forget(place, done))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            _stop(task)
            await asyncio.wait({task})
            raise
        return None if task.cancelled() else task.result()

    def _stopped(self, place: Hashable) -> set[asyncio.Task[Any]]:
        """All that go there, told to stop. One that waits itself ends at once, what it waits for may not."""
        older = set(self._under_way[place])
        for task in older:
            _stop(task)
        return older

    def _forget(self, place: Hashable, task: asyncio.Task[Any]) -> None:
        self._under_way[place].discard(task)
        if not self._under_way[place]:
            del self._under_way[place]


def _stop(task: asyncio.Task[Any]) -> None:
    """Cancel it once: another time would cut short how it ends."""
    if not task.cancelling():
        task.cancel()
