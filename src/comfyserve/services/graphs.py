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

KEPT = 256


@dataclass(frozen=True)
class VersionGraph:
    """A version, parsed."""

    id: str
    workflow_id: str
    version: int
    graph: Graph
    inputs: Sequence[Input]
    editor: Mapping[str, Any] | None


class Graphs:
    """Finds versions inside the caller's transaction, in any thread of the database, and parses each one once."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._parsed: OrderedDict[str, VersionGraph] = OrderedDict()
        self._lock = threading.Lock()

    def version(self, connection: Connection, workspace_id: str, version_id: str) -> VersionGraph:
        """A version of this workspace. Raises NotFound. For a `version_id` that this workspace's own row gave."""
        if (known := self._parsed.get(version_id)) is not None:
            return known
        row = workflows.find_version(connection, workspace_id, version_id=version_id)
        if row is None:
            raise NotFound("There is no such version of a workflow.")
        return self.parse(row)

    def version_in(self, connection: Connection, workspace_id: str, version_id: str) -> VersionGraph:
        """A version that a caller named. Raises NotFound unless it is in this workspace."""
        row = workflows.find_version(connection, workspace_id, version_id=version_id)
        if row is None:
            raise NotFound("There is no such version of a workflow.")
        return self.parse(row)

    def parse(self, row: Row) -> VersionGraph:
        """The version in this row, parsed at most once while it is remembered."""
        if (known := self._parsed.get(row["id"])) is not None:
            return known
        graph = parse_graph(row["graph"])
        parsed = VersionGraph(row["id"], row["workflow_id"], row["version"], graph, declare(graph), row["editor"])
        with self._lock:
            self._parsed[parsed.id] = parsed
            while len(self._parsed) > self._kept:
                self._parsed.popitem(last=False)
        return parsed


def narrowed(version: VersionGraph, narrowings: Mapping[str, Any]) -> Sequence[Input]:
    """The inputs of a version as a deployment narrows them. Raises InvalidInput."""
    return narrow(
        version.inputs, {name: Narrowing.read(name, raw) for name, raw in narrowings.items()}, graph=version.graph
    )
