"""One download for all in this process who want the same file at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from copy import copy as copy_of
from dataclasses import dataclass, field
from typing import Any

from comfyserve.core.errors import DomainError, FetchFailed, TooLarge
from comfyserve.fetch.cache.store import Copy
from comfyserve.ports import OnBytes


@dataclass(eq=False)
class Waiter:
    """Somebody who wants the file: how large it may be for them, and where to tell how far it is."""

    limit: int
    on_bytes: OnBytes
    refused: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def tell(self, received: int, total: int | None) -> None:
        """Pass progress on; too large a file is refused as soon as that is known."""
        if max(received, total or 0) > self.limit:
            if not self.refused.done():
                self.refused.set_result(None)
            return
        self.on_bytes(received, total)

    def too_large(self) -> TooLarge:
        """What they are told then."""
        return TooLarge(f"The file is larger than the {self.limit} bytes that are allowed.")


class Job:
    """A download in progress and who waits for it. `limit` is the largest that the first of them allowed."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiters: set[Waiter] = set()
        self.task: asyncio.Task[tuple[Copy, bool]]
        self._last: tuple[int, int | None] | None = None

    def told(self, received: int, total: int | None) -> None:
        """An OnBytes that tells everybody."""
        self._last = (received, total)
        for waiter in tuple(self.waiters):
            waiter.tell(received, total)

    def join(self, waiter: Waiter) -> None:
        """Wait too; progress so far is told at once."""
        self.waiters.add(waiter)
        if self._last is not None:
            waiter.tell(*self._last)


Work = Callable[[Job], Awaitable[tuple[Copy, bool]]]


class Shared:
    """Jobs by what they download. The copy that a job ends with stays pinned until everybody who waited has left."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, Job] = {}
        self._tasks: set[asyncio.Task[tuple[Copy, bool]]] = set()

    async def run(
        self, key: Hashable, waiter: Waiter, work: Work, take: Callable[[Copy], Awaitable[Copy | None]]
    ) -> tuple[Copy, bool]:
        """What the job of this key gives: `work` starts it, unless it runs. `take` pins the copy once more for us.

        Raises what the work raises; TooLarge when the file is larger than the waiter allows. When the last waiter has
        left, the work is cancelled.
        """
        while True:
            job = self._jobs.get(key)
            if job is None or job.task.done():
                job = self._start(key, waiter.limit, work)
            try:
                found = await self._wait(job, key, waiter, take)
            except TooLarge:
                if waiter.limit <= job.limit:
                    raise
                continue
            if found is not None:
                return found

    async def close(self) -> None:
        """Stop all downloads."""
        for task in self._tasks:
            _cancel(task)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, key: Hashable, limit: int, work: Work) -> Job:
        job = Job(limit)
        job.task = asyncio.ensure_future(_run(work, job))
        self._jobs[key] = job
        self._tasks.add(job.task)
        job.task.add_done_callback(self._tasks.discard)
        return job

    async def _wait(
        self, job: Job, key: Hashable, waiter: Waiter, take: Callable[[Copy], Awaitable[Copy | None]]
    ) -> tuple[Copy, bool] | None:
        job.join(waiter)
        try:
            ends: list[asyncio.Future[Any]] = [job.task, waiter.refused]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if waiter.refused.done():
                raise waiter.too_large()
            copy, cached = _result(job)
            taken = await take(copy)
            if taken is not None and taken.card.size > waiter.limit:
                taken.release()
                raise waiter.too_large()
            return None if taken is None else (taken, cached)
        finally:
            job.waiters.discard(waiter)
            if (job.task.done() or not job.waiters) and self._jobs.get(key) is job:
                del self._jobs[key]
            if not job.waiters:
                _end(job.task)


async def _run(work: Work, job: Job) -> tuple[Copy, bool]:
    return await work(job)


def _result(job: Job) -> tuple[Copy, bool]:
    """Its result, or an error of our own, because whoever gets it adds the place it is about."""
    if job.task.cancelled():
        raise FetchFailed("The download was stopped because the server stops.", retryable=True)
    error = job.task.exception()
    if isinstance(error, DomainError):
        raise copy_of(error) from error
    return job.task.result()


def _end(task: asyncio.Task[tuple[Copy, bool]]) -> None:
    """Stop a job that nobody wants any more, and let go of what it has, or will have."""
    _cancel(task)
    task.add_done_callback(_let_go)


def _cancel(task: asyncio.Task[tuple[Copy, bool]]) -> None:
    """Once: a second time would hit it while it tidies up."""
    if not task.cancelling():
        task.cancel()


def _let_go(task: asyncio.Task[tuple[Copy, bool]]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result()[0].release()
