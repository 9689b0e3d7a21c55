"""The places at an engine, and runs that are made ready beside them because their files take long."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from comfyserve.work.limits import WorkLimits

T = TypeVar("T")


class Places:
    """One run executes and `ahead` more are made ready; a run whose files take longer than `stage_grace` steps aside,
    so that it keeps no other from the engine. `Crowds` bounds how many are aside."""

    def __init__(self, limits: WorkLimits, wanted: Callable[[], None]) -> None:
        """`wanted` is called when a run needs a place again, so that who holds one idle may give it back."""
        self.grace = limits.stage_grace
        self.free = asyncio.Semaphore(1 + limits.ahead)
        self.wanted = wanted

    @property
    def full(self) -> bool:
        """Whether `take` would have to wait."""
        return self.free.locked()

    async def take(self) -> "Place":
        """Wait for a place; who asks first gets one first."""
        await self.free.acquire()
        return Place(self)


class Place:
    """One run's place."""

    def __init__(self, places: Places) -> None:
        self.aside = False
        """Whether the run is being made ready and takes no place."""
        self._places = places

    async def make_ready(self, work: Coroutine[Any, Any, T], on_aside: Callable[[], None] = lambda: None) -> T:
        """The result of `work`, which may last. With the result the place is ours; after an error it may be aside.

        `on_aside` is called when the run steps aside."""
        leaving = asyncio.get_running_loop().call_later(self._places.grace, self._step_aside, on_aside)
        try:
            result = await work
        finally:
            leaving.cancel()
        if self.aside:
            await self._step_back()
        return result

    def give_back(self) -> None:
        """Let the next run have it. Not before `make_ready` has ended."""
        if not self.aside:
            self._places.free.release()

    def _step_aside(self, on_aside: Callable[[], None]) -> None:
        self.aside = True
        self._places.free.release()
        on_aside()

    async def _step_back(self) -> None:
        self._places.wanted()
        await self._places.free.acquire()
        self.aside = False
