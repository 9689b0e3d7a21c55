"""Workflows and their versions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.errors import NotFound
from comfyserve.core.graph import Graph, parse_graph
from comfyserve.core.inputs.declare import Input
from comfyserve.core.limits import MAX_TEXT
from comfyserve.db import workflows
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.services.checks import check_json, check_text
from comfyserve.services.forms import EditorForms
from comfyserve.services.graphs import Graphs
from comfyserve.services.paging import check_limit, page_of, read_moment, read_number
from comfyserve.services.records import Caller, Page, VersionView, WorkflowView

FIRST_COMMENT = "initial version"
FIELDS = (
    "id",
    "workspace_id",
    "name",
    "description",
    "created_at",
    "updated_at",
    "latest_version",
    "latest_version_id",
    "created_by",
)
VERSION_FIELDS = (
    "id",
    "workspace_id",
    "workflow_id",
    "version",
    "comment",
    "graph_hash",
    "created_at",
    "created_by",
    "graph",
    "editor",
)


@dataclass(frozen=True)
class _Draft:
    """A checked graph on its way to a version."""

    graph: Graph
    editor: Mapping[str, Any] | None
    comment: str


class Workflows:
    """The workflows of a workspace. Versions never change."""

    def __init__(
        self,
        db: Database,
        graphs: Graphs,
        *,
        forms: EditorForms,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        graph_bytes: int,
    ) -> None:
        """`graph_bytes`: the most bytes that the JSON of a graph, or of its editor form, may have."""
        self._db = db
        self._graphs = graphs
        self._forms = forms
        self._clock = clock
        self._ids = ids
        self._limit = graph_bytes

    async def create(
        self,
        caller: Caller,
        name: str,
        graph: Any,
        editor: Mapping[str, Any] | None = None,
        description: str = "",
        comment: str = FIRST_COMMENT,
        machine_id: str | None = None,
    ) -> WorkflowView:
        """A workflow with its first version; the editor's form may stand in place of `graph`, or alone in `editor`.

        It is converted with the nodes of the machine. Raises InvalidGraph, InvalidInput, TooLarge, NotFound
        (machine), Conflict while the machine's nodes are not known.
        """
        draft = await self._draft(caller, graph, editor, comment, machine_id)
        now, version_id = self._clock(), self._ids()
        row = {
            "id": self._ids(),
            "workspace_id": caller.workspace_id,
            "name": check_text("name", name),
            "description": check_text("description", description, MAX_TEXT, empty=True),
            "latest_version": 1,
            "latest_version_id": version_id,
            "created_by": caller.key_id,
            "created_at": now,
            "updated_at": now,
        }
        version = self._version_row(caller, str(row["id"]), version_id, draft)

        def write(connection: Connection) -> None:
            workflows.insert(connection, row)
            workflows.insert_version(connection, version | {"version": 1})

        await self._db.write(write)
        return _workflow(row)

    async def get(self, caller: Caller, workflow_id: str) -> WorkflowView:
        """A workflow of the workspace. Raises NotFound."""
        return _workflow(await self._db.read(lambda connection: find_workflow(connection, caller, workflow_id)))

    async def list(
        self, caller: Caller, cursor: str | None = None, limit: int = 50, search: str | None = None
    ) -> Page[WorkflowView]:
        """The workflows, newest first; `search` is a part of the name."""
        before, size = read_moment(cursor), check_limit(limit)
        rows = await self._db.read(
            lambda connection: workflows.page(
                connection, caller.workspace_id, before=before, limit=size + 1, search=search
            )
        )
        return page_of(rows, size, _workflow, lambda row: [row["created_at"].isoformat(), row["id"]])

    async def add_version(
        self,
        caller: Caller,
        workflow_id: str,
        graph: Any,
        editor: Mapping[str, Any] | None = None,
        comment: str = "",
        machine_id: str | None = None,
    ) -> VersionView:
        """The next version of a workflow, in either form as in `create`. Raises NotFound, and what `create` raises."""
        draft = await self._draft(caller, graph, editor, comment, machine_id)
        row = self._version_row(caller, workflow_id, self._ids(), draft)

        def write(connection: Connection) -> int:
            number = workflows.next_version(connection, workflow_id, caller.workspace_id, row["id"], row["created_at"])
            if number is None:
                raise NotFound("There is no such workflow.")
            workflows.insert_version(connection, row | {"version": number})
            return number

        return self._version(row | {"version": await self._db.write(write)})

    async def versions(
        self, caller: Caller, workflow_id: str, cursor: str | None = None, limit: int = 50
    ) -> Page[VersionView]:
        """The versions of a workflow without their graphs, newest first. Raises NotFound."""
        before, size = read_number(cursor), check_limit(limit)

        def read(connection: Connection) -> Page[VersionView]:
            find_workflow(connection, caller, workflow_id)
            rows = workflows.versions_page(connection, caller.workspace_id, workflow_id, before=before, limit=size + 1)
            return page_of(rows, size, lambda row: self._listed(connection, row), lambda row: [row["version"]])

        return await self._db.read(read)

    async def version(self, caller: Caller, workflow_id: str, number: int) -> VersionView:
        """A version by its number, with its graph. Raises NotFound."""
        return await self._one(caller, workflow_id=workflow_id, version=number)

    async def version_by_id(self, caller: Caller, version_id: str) -> VersionView:
        """A version by its own id, with its graph. Raises NotFound."""
        return await self._one(caller, version_id=version_id)

    async def _one(self, caller: Caller, **named: Any) -> VersionView:
        row = await self._db.read(lambda connection: workflows.find_version(connection, caller.workspace_id, **named))
        if row is None:
            raise NotFound("There is no such version of a workflow.")
        return self._version(row)

    async def _draft(
        self, caller: Caller, raw: Any, editor: Mapping[str, Any] | None, comment: str, machine_id: str | None
    ) -> _Draft:
        said = check_text("comment", comment, MAX_TEXT, empty=True)
        forms = await self._forms.settle(caller, raw, editor, machine_id)
        check_json("graph", forms.graph, self._limit)
        check_json("editor", forms.editor, self._limit)
        return _Draft(parse_graph(forms.graph), forms.editor, said)

    def _version_row(self, caller: Caller, workflow_id: str, version_id: str, draft: _Draft) -> dict[str, Any]:
        return {
            "id": version_id,
            "workspace_id": caller.workspace_id,
            "workflow_id": workflow_id,
            "comment": draft.comment,
            "graph": draft.graph.as_json(),
            "graph_hash": draft.graph.hash(),
            "editor": draft.editor,
            "created_by": caller.key_id,
            "created_at": self._clock(),
        }

    def _listed(self, connection: Connection, row: Row) -> VersionView:
        """One of a list: the graph, which is read for its inputs only, is let go before the next one is read."""
        parsed = self._graphs.version(connection, row["workspace_id"], row["id"])
        return _version({**row, "graph": None, "editor": None}, parsed.inputs)

    def _version(self, row: Row) -> VersionView:
        return _version(row, self._graphs.parse(row).inputs)


def find_workflow(connection: Connection, caller: Caller, workflow_id: str) -> Row:
    """The row of a workflow of the caller's workspace. Raises NotFound."""
    row = workflows.find(connection, workflow_id, caller.workspace_id)
    if row is None:
        raise NotFound("There is no such workflow.")
    return row


def _workflow(row: Row) -> WorkflowView:
    return WorkflowView(**{name: row[name] for name in FIELDS})


def _version(row: Row, inputs: Sequence[Input]) -> VersionView:
    return VersionView(**{name: row[name] for name in VERSION_FIELDS}, inputs=inputs)
