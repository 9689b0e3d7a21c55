"""Uploads that are under way, by where they go: the newest to a place takes over."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Uploads:
    """Shared by all who upload in one process."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, place: Hashable, work: Callable[[], Awaitable[Result]]) -> Result | None:
        """The result of the work, which begins when an older one to the same place has been stopped; None when a newer
        one stopped this. Raises what the work raises."""
        older = self._running.get(place)

        async def take_over() -> Result:
            if older is not None and not older.done():
                older.cancel()
                await asyncio.wait({older})
            return await work()

        task = self._running[place] = asyncio.ensure_future(take_over())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            if self._running.get(place) is task:
                del self._running[place]
        return None if task.cancelled() else task.result()
