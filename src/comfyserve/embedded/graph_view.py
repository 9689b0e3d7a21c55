"""A validated graph beside the declarations of its nodes: links, literals and kinds, as execution reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comfyserve.embedded.catalogue import Catalogue
from comfyserve.embedded.node_types import InputSpec, NodeType, Schema, is_link

Graph = dict[str, Any]


class GraphView:
    """Answers questions on one graph; each declaration is asked for once."""

    def __init__(self, graph: Graph, catalogue: Catalogue) -> None:
        self.graph = graph
        self._catalogue = catalogue
        self._schemas: dict[str, Schema] = {}

    def __contains__(self, node_id: object) -> bool:
        return node_id in self.graph

    def type_of(self, node_id: str) -> NodeType:
        """KeyError when the node is not in the graph."""
        return self._catalogue[self.graph[node_id]["class_type"]]

    def schema(self, node_id: str) -> Schema:
        node = self.type_of(node_id)
        if node.name not in self._schemas:
            self._schemas[node.name] = node.schema()
        return self._schemas[node.name]

    def inputs(self, node_id: str) -> Iterator[tuple[InputSpec, Any]]:
        """The declared inputs that have a value in the graph, in the order of the graph."""
        inputs = self.graph[node_id].get("inputs")
        # A node that no output needs was not validated.
        if not isinstance(inputs, dict):
            return
        schema = self.schema(node_id)
        for name, value in inputs.items():
            spec = schema.find(name, inputs)
            if spec is not None:
                yield spec, value

    def unknown_literals(self, node_id: str) -> Iterator[tuple[str, Any]]:
        """The literals under names that the node does not declare: it never sees them, but they stand in the graph."""
        inputs = self.graph[node_id].get("inputs")
        schema = self.schema(node_id)
        for name, value in inputs.items() if isinstance(inputs, dict) else ():
            if schema.find(name, inputs) is None and not is_link(value):
                yield name, value

    def sources(self, node_id: str) -> list[str]:
        """The nodes that feed this one through links that are not lazy."""
        return [value[0] for spec, value in self.inputs(node_id) if is_link(value) and not spec.lazy]

    def is_output(self, node_id: str) -> bool:
        return self.type_of(node_id).is_output

    def is_urgent(self, node_id: str) -> bool:
        node = self.type_of(node_id)
        return node.is_output or node.is_async
