"""Deployments: stable names for a version on a machine, with its inputs narrowed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from comfyserve.core.conversion import Conversion, write_conversion
from comfyserve.core.errors import Conflict, InvalidInput, NotFound, Place
from comfyserve.core.limits import MAX_ENVIRONMENT
from comfyserve.db import deployments, workflows
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.services.checks import check_json, check_text
from comfyserve.services.graphs import Graphs, narrowed
from comfyserve.services.machines import Machines, find_machine, is_simulated
from comfyserve.services.paging import check_limit, page_of, read_moment
from comfyserve.services.records import Caller, DeploymentChange, DeploymentDraft, DeploymentView, Page
from comfyserve.services.workflows import find_workflow

MAX_NARROWINGS = 1_000_000
"""Bytes of JSON."""


class Deployments:
    """The deployments of a workspace; they are found by id or by name."""

    def __init__(
        self,
        db: Database,
        *,
        graphs: Graphs,
        machines: Machines,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
    ) -> None:
        self._db = db
        self._graphs = graphs
        self._machines = machines
        self._clock = clock
        self._ids = ids

    async def create(self, caller: Caller, draft: DeploymentDraft) -> DeploymentView:
        """A new deployment. Raises NotFound (workflow, version, machine), InvalidInput, Conflict for a taken name."""

        def write(connection: Connection) -> DeploymentView:
            version_id = _version_id(connection, caller, draft.workflow_id, draft.version)
            machine = find_machine(connection, caller.workspace_id, draft.machine_id)
            row = self._row(caller, draft, version_id, machine["id"])
            return self._insert(connection, caller, row)

        return await self._db.write(write)

    async def get(self, caller: Caller, id_or_name: str) -> DeploymentView:
        """A deployment. Raises NotFound."""
        return await self._db.read(
            lambda connection: self._view(connection, find_deployment(connection, caller, id_or_name))
        )

    async def list(
        self, caller: Caller, cursor: str | None = None, limit: int = 50, environment: str | None = None
    ) -> Page[DeploymentView]:
        """The deployments, newest first."""
        before, size = read_moment(cursor), check_limit(limit)
        filters = {"environment": environment} if environment else {}

        def read(connection: Connection) -> Page[DeploymentView]:
            rows = deployments.page(connection, caller.workspace_id, before=before, limit=size + 1, filters=filters)
            return page_of(
                rows,
                size,
                lambda row: self._view(connection, row),
                lambda row: [row["created_at"].isoformat(), row["id"]],
            )

        return await self._db.read(read)

    async def update(self, caller: Caller, id_or_name: str, change: DeploymentChange) -> DeploymentView:
        """Change a deployment; its id stays. Raises NotFound, InvalidInput, Conflict for a taken name and
        for a version of another workflow."""

        def write(connection: Connection) -> DeploymentView:
            row = find_deployment(connection, caller, id_or_name)
            columns = _columns(connection, caller, row, change)
            return self._update(connection, caller, row["id"], columns)

        return await self._db.write(write)

    async def delete(self, caller: Caller, id_or_name: str) -> None:
        """Remove a deployment. What is queued still runs; runs keep its name. Raises NotFound."""

        def write(connection: Connection) -> None:
            deployments.delete(connection, find_deployment(connection, caller, id_or_name)["id"])

        await self._db.write(write)

    async def upsert(
        self, caller: Caller, workflow_version_id: str, machine_id: str | None = None, environment: str = "production"
    ) -> DeploymentView:
        """Let the workflow's deployment in this environment pin this version; it is made if there is none.

        Raises NotFound, InvalidInput.
        """

        def write(connection: Connection) -> DeploymentView:
            version = _version(connection, caller, workflow_version_id)
            machine = find_machine(connection, caller.workspace_id, machine_id)
            workflow = find_workflow(connection, caller, version["workflow_id"])
            found = deployments.find_environment(connection, caller.workspace_id, workflow["id"], environment)
            if found is not None:
                columns = {"version_id": version["id"], "machine_id": machine["id"]}
                return self._update(connection, caller, found["id"], columns)
            name = _free_name(connection, caller, workflow["name"], environment)
            draft = DeploymentDraft(name, workflow["id"], environment=environment)
            return self._insert(connection, caller, self._row(caller, draft, version["id"], machine["id"]))

        return await self._db.write(write)

    def _row(self, caller: Caller, draft: DeploymentDraft, version_id: str, machine_id: str) -> dict[str, Any]:
        now = self._clock()
        return {
            "id": self._ids(),
            "workspace_id": caller.workspace_id,
            "name": check_text("name", draft.name),
            "environment": check_text("environment", draft.environment, MAX_ENVIRONMENT),
            "workflow_id": draft.workflow_id,
            "version_id": version_id,
            "machine_id": machine_id,
            "narrowings": _narrowings(draft.narrowings),
            "convert_output": _conversion(draft.convert_output),
            "created_by": caller.key_id,
            "created_at": now,
            "updated_at": now,
        }

    def _insert(self, connection: Connection, caller: Caller, row: Mapping[str, Any]) -> DeploymentView:
        try:
            deployments.insert(connection, row)
        except IntegrityError as error:
            raise _taken(row["name"]) from error
        return self._view(connection, find_deployment(connection, caller, row["id"]))

    def _update(
        self, connection: Connection, caller: Caller, deployment_id: str, columns: Mapping[str, Any]
    ) -> DeploymentView:
        try:
            deployments.update(connection, deployment_id, {**columns, "updated_at": self._clock()})
        except IntegrityError as error:
            raise _taken(str(columns.get("name"))) from error
        return self._view(connection, find_deployment(connection, caller, deployment_id))

    def _view(self, connection: Connection, row: Row) -> DeploymentView:
        """Also the check of what was written: narrowings that do not suit the version raise InvalidInput."""
        version = self._graphs.version(connection, row["workspace_id"], row["version_id"])
        machine = find_machine(connection, row["workspace_id"], row["machine_id"])
        return DeploymentView(
            id=row["id"],
            workspace_id=row["workspace_id"],
            name=row["name"],
            environment=row["environment"],
            workflow_id=row["workflow_id"],
            workflow_name=row["workflow_name"],
            version_id=row["version_id"],
            version=row["version"],
            machine_id=row["machine_id"],
            narrowings=row["narrowings"],
            convert_output=row["convert_output"],
            inputs=narrowed(version, row["narrowings"]),
            created_by=row["created_by"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            simulated=is_simulated(version.graph, self._machines.catalogue_of(connection, machine)),
        )


def find_deployment(connection: Connection, caller: Caller, id_or_name: str) -> Row:
    """The row of a deployment of the caller's workspace. Raises NotFound."""
    row = deployments.find(connection, caller.workspace_id, id_or_name)
    if row is None:
        raise NotFound(f"There is no deployment {id_or_name!r}.")
    return row


def _version_id(connection: Connection, caller: Caller, workflow_id: str, version: int | None) -> str:
    """The id of a version of a workflow, the latest one if no number is given."""
    workflow = find_workflow(connection, caller, workflow_id)
    if version is None:
        return str(workflow["latest_version_id"])
    row = workflows.find_version(connection, caller.workspace_id, workflow_id=workflow_id, version=version)
    if row is None:
        raise NotFound(f"The workflow has no version {version}.", place=Place(field="version"))
    return str(row["id"])


def _version(connection: Connection, caller: Caller, version_id: str) -> Row:
    row = workflows.find_version(connection, caller.workspace_id, version_id=version_id)
    if row is None:
        raise NotFound("There is no such version of a workflow.", place=Place(field="version"))
    return row


def _own_version(connection: Connection, caller: Caller, workflow_id: str, version_id: str) -> Row:
    row = _version(connection, caller, version_id)
    if row["workflow_id"] != workflow_id:
        raise Conflict(
            "This version belongs to another workflow than the deployment; deploy it without naming a deployment.",
            place=Place(field="version"),
        )
    return row


def _columns(connection: Connection, caller: Caller, row: Row, change: DeploymentChange) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if change.name is not None:
        columns["name"] = check_text("name", change.name)
    if change.environment is not None:
        columns["environment"] = check_text("environment", change.environment, MAX_ENVIRONMENT)
    if change.version is not None:
        columns["version_id"] = _version_id(connection, caller, row["workflow_id"], change.version)
    if change.version_id is not None:
        columns["version_id"] = _own_version(connection, caller, row["workflow_id"], change.version_id)["id"]
    if change.machine_id is not None:
        columns["machine_id"] = find_machine(connection, caller.workspace_id, change.machine_id)["id"]
    if change.narrowings is not None:
        columns["narrowings"] = _narrowings(change.narrowings)
    if change.convert_output != "keep":
        columns["convert_output"] = _conversion(change.convert_output)
    return columns


def _conversion(conversion: Conversion | None) -> dict[str, Any] | None:
    return None if conversion is None else write_conversion(conversion)


def _narrowings(raw: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise InvalidInput("inputs must be an object that maps input names to narrowings.", place=Place(field="inputs"))
    check_json("inputs", dict(raw), MAX_NARROWINGS)
    return dict(raw)


def _free_name(connection: Connection, caller: Caller, workflow_name: str, environment: str) -> str:
    """A name for a deployment that a client did not name: its workflow's, with more words until it is free."""
    for name in (workflow_name, f"{workflow_name} ({environment})"):
        if deployments.find(connection, caller.workspace_id, name) is None:
            return name
    count = 2
    while deployments.find(connection, caller.workspace_id, f"{workflow_name} ({environment} {count})") is not None:
        count += 1
    return f"{workflow_name} ({environment} {count})"


def _taken(name: str) -> Conflict:
    return Conflict(
        f"There is a deployment {name!r} already. Choose another name, or update that one.", place=Place(field="name")
    )
