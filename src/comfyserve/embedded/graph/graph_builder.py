"""What a node uses to answer with nodes instead of values, or with a block (spec 9, expansion).

The names are those that node packages import from `comfy_execution.graph_utils`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from comfyserve.embedded.graph.node_types import is_link

GraphNodes = dict[str, dict[str, Any]]


@dataclass(slots=True)
class _Place:
    """The call in progress: its node, its index in the list, and how many graphs it has begun."""

    root: str = ""
    call: int = 0
    graphs: int = 0


_place: ContextVar[_Place] = ContextVar("comfyserve_builder_place")


def begin_call(root: str, call: int) -> None:
    """From here on the builders of this task name their nodes after this node and call (the executor does so)."""
    _place.set(_Place(root, call))


class Node:
    """A node under construction; GraphBuilder.node() makes it."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """A link to one of its outputs."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None removes it."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str | None) -> None:
        """The node of the editor that shows this one's progress, instead of the one that expanded."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """The node as it stands in a graph."""
        made: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            made["override_display_id"] = self.override_display_id
        return made


class GraphBuilder:
    """Builds the graph of one expansion. Without a prefix its node ids are `parent.call.graph.n`."""

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = GraphBuilder.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, Node] = {}
        self.id_gen = 1

    @classmethod
    def set_default_prefix(cls, prefix_root: str, call_index: int, graph_index: int = 0) -> None:
        """Begin the ids of another call."""
        _place.set(_Place(prefix_root, call_index, graph_index))

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """The prefix of the next graph of the call in progress."""
        place = _place.get(None)
        if place is None:
            place = _Place()
            _place.set(place)
        root = place.root if root is None else root
        call = place.call if call_index is None else call_index
        graph = place.graphs if graph_index is None else graph_index
        place.graphs += 1
        return f"{root}.{call}.{graph}."

    def node(self, class_type: str, id: str | None = None, **kwargs: Any) -> Node:
        """A new node with these inputs, or the one that has this id already."""
        if id is None:
            id = str(self.id_gen)
            self.id_gen += 1
        return self.nodes.setdefault(self.prefix + id, Node(self.prefix + id, class_type, kwargs))

    def lookup_node(self, id: str) -> Node | None:
        return self.nodes.get(self.prefix + id)

    def finalize(self) -> GraphNodes:
        """The graph to return under `expand`."""
        return {node_id: node.serialize() for node_id, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Give another value to all inputs that are linked to this output; None removes them."""
        old = [self.prefix + node_id, index]
        for node in self.nodes.values():
            for key in [key for key, value in node.inputs.items() if is_link(value) and value == old]:
                node.set_input(key, new_value)

    def remove_node(self, id: str) -> None:
        del self.nodes[self.prefix + id]


def add_graph_prefix(
    graph: Mapping[str, Mapping[str, Any]], outputs: Sequence[Any], prefix: str
) -> tuple[GraphNodes, tuple[Any, ...]]:
    """The graph and the links of its outputs with every node id prefixed."""

    def moved(value: Any) -> Any:
        return [prefix + value[0], value[1]] if is_link(value) else value

    renamed = {
        prefix + node_id: {
            "class_type": node["class_type"],
            "inputs": {name: moved(value) for name, value in node.get("inputs", {}).items()},
        }
        for node_id, node in graph.items()
    }
    return renamed, tuple(moved(output) for output in outputs)
