"""Machines: where graphs run, in what state they are, and what nodes they have."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from comfyserve.core.errors import Conflict, NotFound
from comfyserve.core.graph import Graph
from comfyserve.db import keys, machines, runs
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.services.records import MAX_PAGE, Caller, MachineView

LOCAL = "local"
NO_WORKER = Conflict("Nobody works for this machine yet. Start `comfyserve worker` with the same data directory.")
Catalogue = Mapping[str, Any]


class Machines:
    """The machines of a workspace. Catalogues are kept in memory, by their hash."""

    def __init__(self, db: Database, *, clock: Callable[[], datetime], ids: Callable[[], str]) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._catalogues: dict[str, tuple[str, Catalogue]] = {}

    async def ensure_local(self, workspace_id: str, *, kind: str, workers: int) -> str:
        """The id of the workspace's machine `local`, made if need be.

        Its state begins as starting; without workers of ours, one that is ready stays so: another process said it."""

        def ensure(connection: Connection) -> str:
            now = self._clock()
            state = {"kind": kind, "workers": workers, "status": "starting", "error": None}
            state |= {} if workers else {"error": NO_WORKER.as_dict()}
            if (row := machines.find_by_name(connection, workspace_id, LOCAL)) is not None:
                if workers or row["status"] != "ready":
                    machines.update(connection, row["id"], now, **state)
                return str(row["id"])
            named = {"id": self._ids(), "workspace_id": workspace_id, "name": LOCAL}
            machines.insert(connection, {**named, **state, "created_at": now, "updated_at": now})
            return named["id"]

        return await self._db.write(ensure)

    async def list(self, caller: Caller) -> Sequence[MachineView]:
        """All machines of the workspace, the oldest first."""

        def read(connection: Connection) -> Sequence[MachineView]:
            rows = machines.of_workspace(connection, caller.workspace_id, MAX_PAGE)
            counts = runs.count_by_state(connection, [row["id"] for row in rows])
            return [_view(row, *counts[row["id"]]) for row in rows]

        return await self._db.read(read)

    async def get(self, caller: Caller, machine_id: str) -> MachineView:
        """A machine of the workspace. Raises NotFound."""

        def read(connection: Connection) -> MachineView:
            row = find_machine(connection, caller.workspace_id, machine_id)
            return _view(row, *runs.count_by_state(connection, [machine_id])[machine_id])

        return await self._db.read(read)

    async def state(self, machine_id: str) -> MachineView:
        """A machine as the server itself sees it, whoever owns it. Raises NotFound."""

        def read(connection: Connection) -> MachineView:
            if (row := machines.find(connection, machine_id)) is None:
                raise NotFound("There is no such machine.")
            return _view(row, *runs.count_by_state(connection, [machine_id])[machine_id])

        return await self._db.read(read)

    async def named(self, name: str) -> str:
        """The id of the machine of this name in the first workspace. Raises NotFound."""

        def read(connection: Connection) -> str | None:
            workspace = keys.first_workspace(connection)
            row = workspace and machines.find_by_name(connection, workspace["id"], name)
            return str(row["id"]) if row else None

        if (machine_id := await self._db.read(read)) is None:
            raise NotFound(f"There is no machine {name}.")
        return machine_id

    async def catalogue(self, machine_id: str) -> Catalogue | None:
        """What nodes the machine has, as `/object_info` tells; None until a worker has told."""

        def read(connection: Connection) -> Catalogue | None:
            row = machines.find(connection, machine_id)
            return None if row is None else self.catalogue_of(connection, row)

        return await self._db.read(read)

    async def nodes(self, caller: Caller, machine_id: str | None = None) -> tuple[str, Catalogue | None]:
        """The status of a machine, of the local one without an id, and what nodes it has. Raises NotFound."""

        def read(connection: Connection) -> tuple[str, Catalogue | None]:
            row = find_machine(connection, caller.workspace_id, machine_id)
            return str(row["status"]), self.catalogue_of(connection, row)

        return await self._db.read(read)

    def catalogue_of(self, connection: Connection, row: Row) -> Catalogue | None:
        """The catalogue of the machine in this row, from memory while its hash is the same."""
        digest = row["catalogue_hash"]
        kept = self._catalogues.get(row["id"])
        if digest is None or (kept is not None and kept[0] == digest):
            return kept[1] if kept and digest else None
        found = machines.catalogue(connection, row["id"])
        if found is not None:
            self._catalogues[row["id"]] = (digest, found)
        return found

    async def report_state(
        self, machine_id: str, state: Literal["starting", "ready", "failed"], error: Mapping[str, Any] | None = None
    ) -> None:
        """Keep what a worker says of its machine; `error` is a stored DomainError."""
        stored = dict(error) if error is not None else None

        def report(connection: Connection) -> None:
            row = machines.find(connection, machine_id)
            if row is not None and (row["status"], row["error"]) != (state, stored):
                machines.update(connection, machine_id, self._clock(), status=state, error=stored)

        await self._db.write(report)


def find_machine(connection: Connection, workspace_id: str, machine_id: str | None) -> Row:
    """The machine with this id, or the workspace's local one. Raises NotFound."""
    row = (
        machines.find_by_name(connection, workspace_id, LOCAL)
        if machine_id is None
        else machines.find(connection, machine_id, workspace_id=workspace_id)
    )
    if row is None:
        raise NotFound("There is no such machine.")
    return row


def is_simulated(graph: Graph, catalogue: Catalogue | None) -> bool:
    """Whether a node of the graph is one that this machine only simulates."""
    if catalogue is None:
        return False
    return any(_marked(catalogue.get(node.class_type)) for node in graph.nodes.values())


def _marked(node: Any) -> bool:
    return isinstance(node, Mapping) and bool(node.get("simulated"))


def _view(row: Row, queued: int, running: int) -> MachineView:
    return MachineView(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        kind=row["kind"],
        status=row["status"],
        workers=row["workers"],
        queued=queued,
        running=running,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        error=row["error"],
    )
