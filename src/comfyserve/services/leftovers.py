"""Leftovers: files that a run stored and never recorded, since its collecting failed or its lease was lost by then."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from comfyserve.core.gathering import gather
from comfyserve.db import assets, runs
from comfyserve.db.database import Database
from comfyserve.ports import Blobs

BATCH = 200
AT_ONCE = 8
PAUSE = timedelta(hours=1)
"""To find such runs reads a whole table, so it is done now and then only."""

LATE = timedelta(minutes=10)
"""How long after a run's end the worker of a lost attempt may still be storing files."""

LOOK_BACK = timedelta(days=1)
"""How far the first round goes back, for what ended while no server was there to clear up."""


class Leftovers:
    """Clears the folders of runs that ended badly, or not with their first claim; only those can have leftovers."""

    def __init__(self, db: Database, blobs: Blobs, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._blobs = blobs
        self._clock = clock
        self._due = now = clock()
        self._seen: tuple[datetime, str] = (now - LOOK_BACK, "")

    async def clear(self) -> int:
        """Remove what is left of one batch of runs; how many runs were looked at."""
        now = self._clock()
        if now < self._due:
            return 0
        seen = self._seen
        ended = await self._db.read(lambda connection: runs.ended_untidily(connection, seen, now - LATE, BATCH))
        for run_id, ended_at in ended:
            await self._tidy(run_id)
            self._seen = (ended_at, run_id)
        if len(ended) < BATCH:
            self._due = now + PAUSE
        return len(ended)

    async def remove(self, run_ids: Collection[str]) -> None:
        """Remove every file of these runs, recorded or not; a bucket does it in few requests for each run.

        Raises StorageFailed."""
        files = await self._db.read(lambda connection: assets.of_runs(connection, run_ids))
        folders = tuple(f"{run_folder(run_id)}/" for run_id in run_ids)
        gate = asyncio.Semaphore(AT_ONCE)

        async def remove(work: Callable[[str], Awaitable[None]], key: str) -> None:
            async with gate:
                await work(key)

        elsewhere = [file["blob_key"] for file in files if not file["blob_key"].startswith(folders)]
        await gather(
            [
                *(remove(self._blobs.delete_below, run_folder(run_id)) for run_id in run_ids),
                *(remove(self._blobs.delete, key) for key in elsewhere),
            ]
        )

    async def _tidy(self, run_id: str) -> None:
        files = await self._db.read(lambda connection: assets.of_runs(connection, [run_id]))
        await self._blobs.delete_below(run_folder(run_id), keep=[file["blob_key"] for file in files])


def run_folder(run_id: str) -> str:
    """Below this key `work.collect` stores the outputs of a run, in a folder for each attempt."""
    return f"runs/{run_id}"
