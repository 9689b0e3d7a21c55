"""Watch: a run's events from a cursor on, live progress between them, and waiting for the end.

The bell is a hint, reading again after a while is the truth. So every stream can be resumed, from any process.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.limits import MAX_NUMBER
from comfyserve.core.runs import FINAL, Status
from comfyserve.db import events
from comfyserve.db.database import Database
from comfyserve.ports import Bell, Live, LiveValue
from comfyserve.ports import Downloading as Downloading
from comfyserve.ports import Preview as Preview
from comfyserve.ports import Progress as Progress
from comfyserve.services.paging import check_limit
from comfyserve.services.records import Caller, EventView, Page, RunView
from comfyserve.services.runs import Runs, find_run, find_status
from comfyserve.services.topics import end_topic, run_topic
from comfyserve.services.views import AssetUrl, event_view

BATCH = 200
Watched = EventView | LiveValue


class Watch:
    """Reads what happens to a run."""

    def __init__(
        self, db: Database, runs: Runs, *, bell: Bell, live: Live, url: AssetUrl, poll_seconds: float = 1.0
    ) -> None:
        """`poll_seconds`: how long a missed ring can delay an event."""
        self._db = db
        self._runs = runs
        self._bell = bell
        self._live = live
        self._url = url
        self._poll = poll_seconds

    async def events(self, caller: Caller, run_id: str, after: int = 0, limit: int = BATCH) -> Page[EventView]:
        """Events after `after`, in order; the cursor is the `seq` to go on from. Raises NotFound."""
        size = check_limit(limit)
        found = await self._read(caller, run_id, check_after(after), size + 1)
        shown = found[:size]
        return Page(shown, str(shown[-1].seq) if len(found) > size else None)

    async def stream(self, caller: Caller, run_id: str, after: int = 0) -> AsyncGenerator[Sequence[Watched], None]:
        """Every event after `after` and the newest live values between them, as many at once as there are.

        Ends after the run's last event. Raises NotFound at the first step. Close it (`aclose`) when it is left early.
        """
        seq, topic = check_after(after), run_topic(run_id)
        allowed, status = False, None
        async with self._live.watch(run_id) as values, _Merged(values) as merged:
            while True:
                seen = self._bell.now(topic)
                found = await (self._next(run_id, seq) if allowed else self._read(caller, run_id, seq, BATCH))
                allowed = True
                if found:
                    yield found
                    status = found[-1].status
                seq = found[-1].seq if found else seq
                if await self._is_over(caller, run_id, found, seq):
                    return
                pause = 0 if len(found) == BATCH else self._poll
                async for value in merged.until(self._bell.wait(topic, pause, since=seen), status):
                    yield (value,)

    async def wait(self, caller: Caller, run_id: str, seconds: float) -> RunView:
        """The run when it has ended, or as it is after so many seconds. Raises NotFound."""
        await self.until_end(caller, run_id, seconds)
        return await self._runs.get(caller, run_id)

    async def until_end(self, caller: Caller, run_id: str, seconds: float) -> Status:
        """The state of the run when it has ended, or after so many seconds: for who reads the run another way. Raises
        NotFound."""
        topic, ends = end_topic(run_id), asyncio.get_running_loop().time() + seconds
        while True:
            seen = self._bell.now(topic)
            status = await self._db.look_up(lambda connection: find_status(connection, caller, run_id))
            left = ends - asyncio.get_running_loop().time()
            if status in FINAL or left <= 0:
                return status
            await self._bell.wait(topic, min(self._poll, left), since=seen)

    def progress(self, run: RunView) -> Progress | None:
        """How far a run is that its caller may see, if it was told."""
        if run.status in FINAL or run.status is Status.QUEUED:
            return None
        return next((value for value in self._live.last(run.id) if isinstance(value, Progress)), None)

    async def _read(self, caller: Caller, run_id: str, after: int, limit: int) -> list[EventView]:
        def read(connection: Connection) -> list[EventView]:
            find_run(connection, caller, run_id)
            return [event_view(row, self._url) for row in events.after(connection, run_id, after, limit)]

        return await self._db.look_up(read)

    async def _next(self, run_id: str, after: int) -> list[EventView]:
        """The next events of a run that its caller may see."""

        def read(connection: Connection) -> list[EventView]:
            return [event_view(row, self._url) for row in events.after(connection, run_id, after, BATCH)]

        return await self._db.look_up(read)

    async def _is_over(self, caller: Caller, run_id: str, found: list[EventView], seq: int) -> bool:
        """Whether `seq` is the last event of a run that has ended."""
        if found:
            return found[-1].status in FINAL
        row = await self._db.look_up(lambda connection: find_run(connection, caller, run_id))
        return row["status"] in FINAL and row["last_event"] <= seq


class _Merged:
    """Live values, for as long as something else has not happened."""

    def __init__(self, values: AsyncIterator[LiveValue]) -> None:
        self._values = values
        self._next: asyncio.Task[LiveValue | None] | None = None
        self._ended = False

    async def __aenter__(self) -> "_Merged":
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])

    async def until(self, other: Coroutine[Any, Any, Any], status: Status | None) -> AsyncIterator[LiveValue]:
        """Yield the values that fit a run in this state until `other` is done. One on its way is kept for later."""
        waiting = asyncio.ensure_future(other)
        try:
            while not waiting.done():
                value = await self._value_or(waiting)
                if value is not None and _fits(value, status):
                    yield value
        finally:
            waiting.cancel()

    async def _value_or(self, waiting: "asyncio.Future[Any]") -> LiveValue | None:
        """The next value, or None when `waiting` was done first or the values have ended."""
        if self._next is None and not self._ended:
            self._next = asyncio.ensure_future(anext(self._values, None))
        both = {waiting} if self._next is None else {waiting, self._next}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if self._next is None or not self._next.done():
            return None
        value, self._next = self._next.result(), None
        self._ended = value is None
        return value


def _fits(value: LiveValue, status: Status | None) -> bool:
    """Whether a value may be told after an event with this status. Values go straight, events through the database:
    one from before the event that it belongs to is left out."""
    if status is Status.STARTING:
        return isinstance(value, Downloading)
    return status is not Status.QUEUED


def check_after(after: int) -> int:
    """A cursor of events. Raises InvalidInput when it is negative or absurd."""
    if not 0 <= after <= MAX_NUMBER:
        raise InvalidInput("after must be the seq of an event, or 0 for all.", place=Place(field="after"))
    return after
