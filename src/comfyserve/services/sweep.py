"""Sweep: what nobody else notices. Dead workers, clocks that ran out, and what is older than it is kept."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection

from comfyserve.core.errors import ClockRanOut, StorageFailed
from comfyserve.core.runs import Fact, FactKind
from comfyserve.db import assets, events, keys, runs
from comfyserve.db.database import Database
from comfyserve.ports import Blobs, Clocks
from comfyserve.services.leftovers import BATCH, Leftovers
from comfyserve.services.record import Record

log = structlog.get_logger(__name__)

DETAIL_BATCH = 5_000
SLOW_PAUSE = timedelta(hours=1)
"""What reads a whole table is done now and then only."""

BYTES_PAUSE = timedelta(minutes=1)
"""Between two looks at how much the files of runs hold."""

DETAILS = (FactKind.NODE_STARTED.value,)
"""Kinds of events that are kept for a shorter time than their run."""


@dataclass(frozen=True)
class Keeping:
    """How much is kept: finished runs in number, the details of events in days, the files of finished runs in bytes;
    0 keeps everything."""

    runs: int
    detail_days: float
    bytes: int = 0


@dataclass(frozen=True)
class Swept:
    """What one round found."""

    lost: int = 0
    overdue: int = 0
    removed_runs: int = 0
    removed_events: int = 0
    cleared_runs: int = 0

    @property
    def more(self) -> bool:
        """Whether a batch was full, so that the next round should come soon."""
        full = max(self.removed_runs, self.cleared_runs) >= BATCH
        return full or self.removed_events >= DETAIL_BATCH


class Sweep:
    """One round is short and bounded; it is called again and again."""

    def __init__(
        self,
        db: Database,
        record: Record,
        blobs: Blobs,
        *,
        clock: Callable[[], datetime],
        clocks: Clocks,
        keeping: Keeping,
    ) -> None:
        self._db = db
        self._record = record
        self._leftovers = Leftovers(db, blobs, clock)
        self._clock = clock
        self._clocks = clocks
        self._keeping = keeping
        self._details_due = self._tokens_due = self._bytes_due = datetime.min.replace(tzinfo=UTC)

    async def run_once(self) -> Swept:
        """Expired leases, overdue runs, then what is too old. Files wait while the storage does not answer."""
        await self._remove_dead_tokens()
        return Swept(
            lost=await self._lose_expired(),
            overdue=await self._end_overdue(),
            removed_runs=await _unless_storage_fails(self._remove_runs())
            + await _unless_storage_fails(self._remove_bytes()),
            removed_events=await self._remove_details(),
            cleared_runs=await _unless_storage_fails(self._leftovers.clear()),
        )

    async def _lose_expired(self) -> int:
        reason = "The worker that held the run gave no sign of life."
        return await self._record.lose(
            lambda connection: runs.expired(connection, self._clock(), BATCH),
            Fact(FactKind.LOST, {"reason": reason}),
        )

    async def _end_overdue(self) -> int:
        """Runs that were not claimed in their time. The other clocks are the worker's: a run that it holds ends by
        them, or, when the worker is gone, by its lease."""
        queue = self._clocks.queue
        if queue <= 0:
            return 0
        return await self._record.lose(
            lambda connection: runs.queued_since(connection, self._clock() - timedelta(seconds=queue), BATCH),
            Fact(FactKind.TIMED_OUT, {"error": ClockRanOut("queue", queue).as_dict()}),
        )

    async def _remove_runs(self) -> int:
        """Finished runs beyond the number kept, with their files: the files first, so that none is left behind."""
        if self._keeping.runs <= 0:
            return 0
        old = await self._db.read(lambda connection: runs.finished_beyond(connection, self._keeping.runs, BATCH))
        return await self.remove(old)

    async def _remove_bytes(self) -> int:
        """The oldest finished runs, until the files of the others are within the bound."""
        now, most = self._clock(), self._keeping.bytes
        if most <= 0 or now < self._bytes_due:
            return 0
        old = await self._db.read(lambda connection: runs.finished_beyond_bytes(connection, most, BATCH))
        if len(old) < BATCH:
            self._bytes_due = now + BYTES_PAUSE
        return await self.remove(old)

    async def remove(self, run_ids: Sequence[str]) -> int:
        """Forget finished runs, with their files. Raises StorageFailed."""
        if not run_ids:
            return 0
        await self._leftovers.remove(run_ids)

        def remove(connection: Connection) -> None:
            assets.delete_of_runs(connection, run_ids)
            runs.delete(connection, run_ids)

        await self._db.write(remove)
        return len(run_ids)

    async def _remove_dead_tokens(self) -> None:
        """Sessions and sign-in tokens that have ended."""
        now = self._clock()
        if now >= self._tokens_due:
            self._tokens_due = now + SLOW_PAUSE
            await self._db.write(lambda connection: keys.delete_dead(connection, now))

    async def _remove_details(self) -> int:
        if self._keeping.detail_days <= 0:
            return 0
        moment = self._clock() - timedelta(days=self._keeping.detail_days)
        if moment < self._details_due:
            return 0
        old = await self._db.read(lambda connection: events.before(connection, DETAILS, moment, DETAIL_BATCH))
        if len(old) < DETAIL_BATCH:
            self._details_due = moment + SLOW_PAUSE
        await self._db.write(lambda connection: events.delete(connection, old))
        return len(old)


async def _unless_storage_fails(work: Awaitable[int]) -> int:
    """How much was done; nothing, until the next round, when our storage does not do its part."""
    try:
        return await work
    except StorageFailed as error:
        log.warning("files_not_removed", error=error.message)
        return 0
