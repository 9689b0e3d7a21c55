"""Building the graph that a node expands into."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from comfyserve.embedded.blocker import ExecutionBlocker
from comfyserve.embedded.comfy_modules.comfy_execution.utils import get_executing_context
from comfyserve.embedded.node_types import is_link

__all__ = ["ExecutionBlocker", "GraphBuilder", "Node", "add_graph_prefix", "is_link"]

Graph = dict[str, dict[str, Any]]
_serial = itertools.count()


class Node:
    """One node of a graph under construction."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """A link to an output."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None removes it."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show the node's progress on another node."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """The node in API form."""
        found: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            found["override_display_id"] = self.override_display_id
        return found


class GraphBuilder:
    """A graph whose node ids begin with a prefix that nothing else in the prompt has."""

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = self.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, Node] = {}
        self.id_gen = 1

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """`node.call.graph.`, by default of the node that runs."""
        around = get_executing_context()
        root = (around.node_id if around else "") if root is None else root
        call_index = 0 if call_index is None else call_index
        graph_index = next(_serial) if graph_index is None else graph_index
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type: str, id: str | None = None, **kwargs: Any) -> Node:
        """Add a node with these inputs; an id that is there already gives that node."""
        if id is None:
            id, self.id_gen = str(self.id_gen), self.id_gen + 1
        full = self.prefix + id
        if full not in self.nodes:
            self.nodes[full] = Node(full, class_type, kwargs)
        return self.nodes[full]

    def lookup_node(self, id: str) -> Node | None:
        return self.nodes.get(self.prefix + id)

    def remove_node(self, id: str) -> None:
        del self.nodes[self.prefix + id]

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Feed what an output feeds from another value; None takes the inputs away."""
        link = [self.prefix + node_id, index]
        for node in self.nodes.values():
            for key in [key for key, value in node.inputs.items() if is_link(value) and value == link]:
                node.set_input(key, new_value)

    def finalize(self) -> Graph:
        """The graph in API form."""
        return {node_id: node.serialize() for node_id, node in self.nodes.items()}


def add_graph_prefix(graph: Mapping[str, Any], outputs: Sequence[Any], prefix: str) -> tuple[Graph, tuple[Any, ...]]:
    """The graph and links to its outputs with a prefix before every node id."""
    renamed: Graph = {
        prefix + node_id: {
            "class_type": node["class_type"],
            "inputs": {name: _renamed(value, prefix) for name, value in node.get("inputs", {}).items()},
        }
        for node_id, node in graph.items()
    }
    return renamed, tuple(_renamed(value, prefix) for value in outputs)


def _renamed(value: Any, prefix: str) -> Any:
    return [prefix + value[0], value[1]] if is_link(value) else value
