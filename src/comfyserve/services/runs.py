"""Runs as their callers see them."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.errors import NotFound
from comfyserve.core.runs import Status
from comfyserve.db import deployments, outputs, runs
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.services.paging import check_limit, page_of, read_number
from comfyserve.services.postings import Snapshot
from comfyserve.services.records import Caller, Page, RunFilter, RunView
from comfyserve.services.snapshots import present
from comfyserve.services.views import AssetUrl, output_view, run_view

FEW_EVENTS = 100
"""A run with no more is read on the spot; one with more has a large graph, too."""


class Runs:
    """Reads runs of the caller's workspace."""

    def __init__(self, db: Database, *, url: AssetUrl) -> None:
        """`url`: signs the URL of an asset (`Files.url`)."""
        self._db = db
        self._url = url

    async def get(self, caller: Caller, run_id: str) -> RunView:
        """A run with its outputs and, while it waits, its place in the queue. Raises NotFound."""
        return await self.placed(await self._db.look_up(lambda connection: self.view(connection, caller, run_id)))

    async def named(self, caller: Caller, key: str) -> RunView:
        """The run that was made under this request id (its idempotency key), as `get` gives it. Raises NotFound."""

        def find(connection: Connection) -> RunView:
            row = runs.find_by_idempotency_key(connection, caller.workspace_id, key)
            if row is None:
                raise NotFound(
                    "This instance does not know this request id. Ask the instance that took the request; the "
                    "documentation says how to route to it (sticky routing)."
                )
            return self._with_outputs(connection, row)

        return await self.placed(await self._db.look_up(find))

    async def told(self, caller: Caller, run_id: str) -> Snapshot:
        """A run with its events, its graph and what its dialect kept of the request. Raises NotFound."""

        def look(connection: Connection) -> Snapshot | None:
            row = find_run(connection, caller, run_id)
            return present(connection, row, self._url) if row["last_event"] <= FEW_EVENTS else None

        def whole(connection: Connection) -> Snapshot:
            return present(connection, find_run(connection, caller, run_id), self._url)

        if (told := await self._db.look_up(look)) is None:
            told = await self._db.read(whole)
        return told

    async def placed(self, run: RunView) -> RunView:
        """The run with its place in the queue if it waits. To count those before it is no quick look-up."""
        if run.status is not Status.QUEUED:
            return run
        place = await self._db.read(lambda connection: runs.position(connection, run.id))
        return replace(run, queue_position=place)

    async def exists(self, run_id: str) -> bool:
        """Whether any workspace has such a run: for the dialect whose clients need its documented 403."""
        return await self._db.read(lambda connection: runs.find(connection, run_id)) is not None

    async def list(
        self, caller: Caller, filters: RunFilter | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[RunView]:
        """Runs, newest first; of its outputs each has one: its first picture, or else its first file."""
        before, size = read_number(cursor), check_limit(limit)

        def read(connection: Connection) -> Page[RunView]:
            wanted = _columns(connection, caller, filters or RunFilter())
            rows = runs.page(connection, caller.workspace_id, filters=wanted, before=before, limit=size + 1)
            found = outputs.first_files(connection, [row["id"] for row in rows])
            files = {row["run_id"]: [output_view(row, self._url)] for row in found}
            return page_of(
                rows, size, lambda row: run_view(row, outputs=files.get(row["id"], ())), lambda row: [row["seq"]]
            )

        return await self._db.read(read)

    def view(self, connection: Connection, caller: Caller, run_id: str) -> RunView:
        """`get` without the place in the queue, inside a transaction."""
        return self._with_outputs(connection, find_run(connection, caller, run_id))

    def _with_outputs(self, connection: Connection, row: Row) -> RunView:
        found = () if row["status"] == Status.QUEUED else outputs.of_run(connection, row["id"])
        return run_view(row, outputs=[output_view(output, self._url) for output in found])


def find_run(connection: Connection, caller: Caller, run_id: str) -> Row:
    """The row of a run of the caller's workspace. Raises NotFound."""
    row = runs.find(connection, run_id, workspace_id=caller.workspace_id)
    if row is None:
        raise _no_such_run()
    return row


def find_status(connection: Connection, caller: Caller, run_id: str) -> Status:
    """The state of a run of the caller's workspace. Raises NotFound."""
    if (status := runs.status_of(connection, run_id, caller.workspace_id)) is None:
        raise _no_such_run()
    return status


def _no_such_run() -> NotFound:
    return NotFound("There is no such run.")


def _columns(connection: Connection, caller: Caller, filters: RunFilter) -> dict[str, Any]:
    """The columns that runs must have; a deployment that is gone can still be named by its id."""
    wanted: dict[str, Any] = {"workflow_id": filters.workflow_id, "status": filters.status and filters.status.value}
    if filters.deployment is not None:
        row = deployments.find(connection, caller.workspace_id, filters.deployment)
        wanted["deployment_id"] = row["id"] if row else filters.deployment
    return {name: value for name, value in wanted.items() if value is not None}
