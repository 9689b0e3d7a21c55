"""Downloads of calls that are answered 202 before these are over: the runs join them."""

import asyncio
from collections.abc import Awaitable

import structlog
from starlette.requests import Request

from comfyserve.apis.http.bundle import context_of
from comfyserve.apis.http.events import Slots, unless_closed
from comfyserve.core.errors import DomainError

log = structlog.get_logger(__name__)

MAX_GOING_ON = 64
"""Calls whose downloads go on after the answer; the runs of further ones download for themselves."""


class Prefetches:
    """The downloads of one server. They end when it stops; the runs begin them again."""

    def __init__(self, slots: Slots, most: int = MAX_GOING_ON) -> None:
        self._slots = slots
        self._most = most
        self.going_on: set[asyncio.Task[None]] = set()
        """Those that nobody waits for any more."""

    async def bring(self, files: Awaitable[None], seconds: float) -> None:
        """Wait for the files, but so long at most. Raises what is wrong with them by then."""
        task = asyncio.create_task(unless_closed(self._slots, files))
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if done:
            task.result()
        elif len(self.going_on) < self._most:
            self.going_on.add(task)
            task.add_done_callback(self._over)
        else:
            task.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        """What is wrong with the files is met by the run, too, and told by it."""
        self.going_on.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, DomainError):
            log.error("prefetch_failed", exc_info=error)


def prefetches_of(request: Request) -> Prefetches:
    """The downloads of the app that serves this request."""
    state = request.app.state
    if not hasattr(state, "prefetches"):
        state.prefetches = Prefetches(context_of(request).slots)
    found: Prefetches = state.prefetches
    return found
