"""Versions as parsed graphs. A version never changes, so the last ones used stay in memory."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.errors import NotFound
from comfyserve.core.graph import Graph, parse_graph
from comfyserve.core.inputs.declare import Input, declare
from comfyserve.core.inputs.narrow import Narrowing, narrow
from comfyserve.db import workflows
from comfyserve.db.rows import Row
from comfyserve.db.types import dump_json

KEPT_BYTES = 32 * 1024 * 1024
"""How much JSON the versions have that stay in memory; parsed they take several times as much."""


@dataclass(frozen=True)
class VersionGraph:
    """A version, parsed."""

    id: str
    workspace_id: str
    workflow_id: str
    version: int
    graph: Graph
    inputs: Sequence[Input]
    editor: Mapping[str, Any] | None


class Graphs:
    """Finds versions inside the caller's transaction, in any thread of the database, and parses each one once."""

    def __init__(self, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._room = kept_bytes
        self._parsed: OrderedDict[str, tuple[VersionGraph, int]] = OrderedDict()
        self._lock = threading.Lock()

    def version(self, connection: Connection, workspace_id: str, version_id: str) -> VersionGraph:
        """A version of this workspace. Raises NotFound."""
        known = self._known(version_id)
        if known is None:
            row = workflows.find_version(connection, workspace_id, version_id=version_id)
            known = None if row is None else self.parse(row)
        if known is None or known.workspace_id != workspace_id:
            raise NotFound("There is no such version of a workflow.")
        return known

    def parse(self, row: Row) -> VersionGraph:
        """The version in this row, parsed at most once while it is remembered."""
        if (known := self._known(row["id"])) is not None:
            return known
        graph = parse_graph(row["graph"])
        parsed = VersionGraph(
            id=row["id"],
            workspace_id=row["workspace_id"],
            workflow_id=row["workflow_id"],
            version=row["version"],
            graph=graph,
            inputs=declare(graph),
            editor=row["editor"],
        )
        self._remember(parsed, len(dump_json(row["graph"])) + len(dump_json(row["editor"])))
        return parsed

    def _known(self, version_id: str) -> VersionGraph | None:
        with self._lock:
            if (found := self._parsed.get(version_id)) is None:
                return None
            self._parsed.move_to_end(version_id)
            return found[0]

    def _remember(self, version: VersionGraph, size: int) -> None:
        with self._lock:
            if version.id in self._parsed:
                return
            self._parsed[version.id] = version, size
            self._room -= size
            while self._room < 0:
                _, (_, freed) = self._parsed.popitem(last=False)
                self._room += freed


def narrowed(version: VersionGraph, narrowings: Mapping[str, Any]) -> Sequence[Input]:
    """The inputs of a version as a deployment narrows them. Raises InvalidInput."""
    return narrow(
        version.inputs, {name: Narrowing.read(name, raw) for name, raw in narrowings.items()}, graph=version.graph
    )
