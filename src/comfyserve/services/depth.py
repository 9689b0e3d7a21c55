"""How much work waits or is being done, as a number that is there at once."""

import asyncio

import structlog

from comfyserve.db import runs
from comfyserve.db.database import Database
from comfyserve.ports import Bell
from comfyserve.services.topics import DEPTH

POLL = 30.0
PAUSE = 0.1
"""Seconds between two looks at least, however quickly it changes."""

log = structlog.get_logger(__name__)


class Depth:
    """Keeps `value`, the number of runs that have not ended, while `run` goes on; None before the first look."""

    def __init__(self, db: Database, bell: Bell, *, pause: float = PAUSE) -> None:
        self.value: int | None = None
        self._db = db
        self._bell = bell
        self._pause = pause
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Look whenever a run came or ended, until cancelled."""
        while True:
            seen = self._bell.now(DEPTH)
            try:
                await self.look()
            except Exception:
                log.exception("depth_not_read")
            await asyncio.sleep(self._pause)
            await self._bell.wait(DEPTH, POLL, since=seen)

    async def look(self) -> int:
        """The number now."""
        value = await self._db.read(runs.count_unfinished)
        async with self._changed:
            self.value = value
            self._changed.notify_all()
        return value

    async def other_than(self, last: int | None) -> int:
        """The number, as soon as it is known and another one than `last`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.value is not None and self.value != last)
        assert self.value is not None
        return self.value
