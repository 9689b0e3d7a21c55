"""Workflows without code: a graph with a field mapping, in one JSON file or as a graph with a small YAML beside it,
and bare graphs, whose inputs are addressed as `<node id>.<input>` or declared by External nodes."""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comfyserve.core.errors import DomainError, InvalidGraph, InvalidInput
from comfyserve.core.graph import Graph, as_link, parse_graph
from comfyserve.core.inputs import Input, Kind, bind, declare
from comfyserve.workflows.documents import YAML, read_document
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.mapping import Mapped, fit, read_mapping
from comfyserve.workflows.model_read import ModelRead
from comfyserve.workflows.names import KnownNames
from comfyserve.workflows.table import Row, rows_of
from comfyserve.workflows.wrong import invalid, kind_of, not_generated

GRAPH = "graph"

JSON_TYPES: Mapping[Kind, str] = {
    Kind.NUMBER: "number",
    Kind.INTEGER: "integer",
    Kind.SEED: "integer",
    Kind.BOOLEAN: "boolean",
    Kind.IMAGES: "array",
}
"""Kind of a declared input -> its type in the schema; all others are strings."""


class MappedWorkflow(ModelRead):
    """A graph with a field mapping."""

    def __init__(self, path: str, graph: Graph, told: tuple[str, str], mapped: Mapped, names: KnownNames) -> None:
        self.path = path
        self.summary = told[0] or path.rpartition("/")[2]
        self.description = told[1]
        self._graph = graph
        self._fields = mapped.fields
        super().__init__(mapped.model, names)

    async def graph(self, parsed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The graph with the values in their places; what has no value keeps the one it was saved with."""
        changes: dict[str, dict[str, Any]] = {}
        for field in self._fields:
            value = parsed.get(field.name)
            for node_id, key in field.places if value is not None else ():
                changes.setdefault(node_id, {})[key] = value
        return self._graph.with_inputs(changes).as_json()

    async def close(self) -> None:
        """Nothing is held."""


class BareWorkflow:
    """A graph as ComfyUI exports it."""

    def __init__(self, path: str, graph: Graph) -> None:
        self.path = path
        self.summary = path.rpartition("/")[2]
        self.description = ""
        self._graph = graph
        self._declared = declare(graph)

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of `input`."""
        return {"title": "Input", "type": "object", "properties": dict(self._properties())}

    def rows(self) -> list[Row]:
        """The rows of the table of inputs."""
        return rows_of(self.input_schema, {})

    async def read(self, given: Any) -> Mapping[str, Any]:
        """What is given of the graph's own inputs. Raises InvalidInput."""
        if not isinstance(given, Mapping):
            raise invalid([((), f"Expected object, received {kind_of(given)}")])
        known = dict(self._properties())
        parsed = {str(name): value for name, value in given.items() if name in known}
        self._bound(parsed)
        return parsed

    async def graph(self, parsed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The graph with the values in their places. Raises InvalidInput."""
        try:
            return self._bound(parsed).as_json()
        except InvalidInput as error:
            raise not_generated(error.message) from error

    def _bound(self, parsed: Mapping[str, Any]) -> Graph:
        try:
            return bind(self._graph, self._declared, parsed, unknown="report", draw=_draw).graph
        except (InvalidInput, InvalidGraph) as error:
            path = (error.place.field,) if error.place.field else ()
            raise invalid([(path, error.message)]) from error

    def _properties(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for one in self._declared:
            yield one.id, _declared_schema(one)
        for node_id, node in self._graph.nodes.items():
            for name, value in node.inputs.items():
                if as_link(value) is None and isinstance(value, str | int | float):
                    yield f"{node_id}.{name}", {"type": _json_type(value), "description": node.title, "default": value}

    async def close(self) -> None:
        """Nothing is held."""


def load_json(path: str, file: Path, root: Path, names: KnownNames, most: int) -> MappedWorkflow | BareWorkflow:
    """Read a JSON or YAML file; blocks on the disk. Raises Unreadable with what is wrong and where."""
    raw = read_document(file, most)
    if not isinstance(raw, dict):
        raise Unreadable(f"It holds {kind_of(raw)}; a workflow is an object.")
    if file.suffix not in YAML and not _is_mapping(raw):
        return BareWorkflow(path, _graph(raw))
    beside = {name: value for name, value in raw.items() if name != GRAPH}
    mapping = read_mapping(beside)
    graph = _graph(_graph_of(raw.get(GRAPH), file, root, most))
    return MappedWorkflow(path, graph, (mapping.summary, mapping.description), fit(mapping, graph), names)


def _is_mapping(raw: Mapping[str, Any]) -> bool:
    return isinstance(raw.get(GRAPH), dict | str) and "class_type" not in raw[GRAPH]


def _graph_of(named: Any, file: Path, root: Path, most: int) -> Any:
    """The graph inside a mapping, in the file that it names, or in the JSON file of the same name."""
    if isinstance(named, dict):
        return named
    if named is not None and not isinstance(named, str):
        raise Unreadable("`graph` is a graph, or the name of a JSON file with one.")
    beside = file.parent / (named or f"{file.stem}.json")
    if not beside.resolve().is_relative_to(root):
        raise Unreadable(f"`graph` names {named}, which lies outside of the workflow folder.")
    if not beside.is_file():
        raise Unreadable(f"Its graph is not there: put {beside.name} beside it, or name the file as `graph`.")
    return read_document(beside, most)


def _graph(raw: Any) -> Graph:
    try:
        return parse_graph(raw)
    except DomainError as error:
        raise Unreadable(error.message) from error


def _declared_schema(one: Input) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": JSON_TYPES.get(one.kind, "string"), "description": one.description or one.label}
    facts = {"minimum": one.minimum, "maximum": one.maximum, "default": one.default}
    return (
        schema
        | {key: value for key, value in facts.items() if value is not None}
        | ({"enum": list(one.choices)} if one.choices else {})
    )


def _json_type(value: Any) -> str:
    return "integer" if isinstance(value, int) and not isinstance(value, bool) else kind_of(value)


def _draw(low: int, high: int) -> int:
    return low + secrets.randbelow(high - low + 1)
