"""Cancel: a run that waits ends at once, a run that is worked on is stopped by its worker."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from comfyserve.core.runs import Fact, FactKind, Status
from comfyserve.db.database import Database
from comfyserve.ports import STOP_TOPIC, Bell
from comfyserve.services.door import Door
from comfyserve.services.records import Caller, RunView
from comfyserve.services.runs import Runs, find_run
from comfyserve.services.topics import DELIVERIES, DEPTH, end_topic, run_topic


class Cancel:
    """Carries the wish to stop a run."""

    def __init__(self, db: Database, door: Door, runs: Runs, *, clock: Callable[[], datetime], bell: Bell) -> None:
        self._db = db
        self._door = door
        self._runs = runs
        self._clock = clock
        self._bell = bell

    async def cancel(self, caller: Caller, run_id: str) -> RunView:
        """The run after the wish: cancelled if it was queued, asked to stop if it is held, unchanged if it has ended.

        Raises NotFound.
        """

        def wish(connection: Connection) -> RunView:
            row = find_run(connection, caller, run_id)
            queued = row["status"] == Status.QUEUED
            asked = Fact(FactKind.CANCEL_REQUESTED)
            facts = [asked, Fact(FactKind.CANCELLED)] if queued else [asked]
            self._door.record(connection, row, facts, self._clock())
            return self._runs.view(connection, caller, run_id)

        view = await self._db.write(wish)
        for topic in (run_topic(run_id), end_topic(run_id), STOP_TOPIC, DELIVERIES, DEPTH):
            self._bell.ring(topic)
        return view
