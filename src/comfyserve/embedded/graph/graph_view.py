"""A graph beside the declarations of its nodes, as execution reads it; expansions add nodes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.graph.dynamic_prompt import DynamicPrompt, Graph
from comfyserve.embedded.graph.node_types import InputSpec, NodeType, Schema, is_link

__all__ = ["Graph", "GraphView", "arguments_of"]

Arguments = dict[str, list[Any]]
"""Every input holds a list of values; a literal is a list of one."""


class GraphView:
    """Answers questions on one graph; each declaration is asked for once."""

    def __init__(self, graph: Graph, catalogue: Catalogue, expanded_nodes: int) -> None:
        self.graph = graph
        self.nodes = DynamicPrompt(graph, expanded_nodes)
        self._catalogue = catalogue
        self._schemas: dict[str, Schema] = {}
        self._specs: dict[tuple[str, str], InputSpec | None] = {}

    def __contains__(self, node_id: object) -> bool:
        return self.nodes.has_node(node_id)

    def type_of(self, node_id: str) -> NodeType:
        """NodeNotFoundError when the node is not in the graph, KeyError when its class is unknown."""
        return self._catalogue[self.nodes.get_node(node_id)["class_type"]]

    def schema(self, node_id: str) -> Schema:
        node = self.type_of(node_id)
        if node.name not in self._schemas:
            self._schemas[node.name] = node.schema()
        return self._schemas[node.name]

    def given(self, node_id: str) -> Mapping[str, Any]:
        """All inputs that the node has in the graph."""
        inputs = self.nodes.get_node(node_id).get("inputs")
        # A node that no output needs was not validated.
        return inputs if isinstance(inputs, dict) else {}

    def links(self, node_id: str) -> Iterator[tuple[str, list[Any]]]:
        """The linked inputs, those under names that the class does not declare too: ComfyUI follows them."""
        for name, value in self.given(node_id).items():
            if is_link(value):
                yield name, value

    def sources(self, node_id: str) -> list[str]:
        """The nodes that feed this one through links that are not lazy."""
        return [link[0] for name, link in self.links(node_id) if not self._is_lazy(node_id, name)]

    def arguments(self, node_id: str, of_link: Callable[[str, Any], list[Any]]) -> Arguments:
        """What the node gets, without the hidden inputs; `of_link` gives the values of a source's slot."""
        find = self._finder(node_id)
        return arguments_of(self.given(node_id), self.schema(node_id), find, of_link)

    def is_output(self, node_id: str) -> bool:
        return self.type_of(node_id).is_output

    def is_urgent(self, node_id: str) -> bool:
        node = self.type_of(node_id)
        return node.is_output or node.is_async

    def _is_lazy(self, node_id: str, name: str) -> bool:
        spec = self._finder(node_id)(name)
        return spec is not None and spec.lazy

    def _finder(self, node_id: str) -> Callable[[str], InputSpec | None]:
        """Finds declared inputs by name; remembers those whose declaration does not depend on the other inputs."""
        schema, given, class_name = self.schema(node_id), self.given(node_id), self.type_of(node_id).name

        def find(name: str) -> InputSpec | None:
            if "." in name:
                return schema.find(name, given)
            key = (class_name, name)
            if key not in self._specs:
                self._specs[key] = schema.find(name)
            return self._specs[key]

        return find


def arguments_of(
    given: Mapping[str, Any],
    schema: Schema,
    find: Callable[[str], InputSpec | None],
    of_link: Callable[[str, Any], list[Any]],
) -> Arguments:
    """Links by `of_link` whatever their name is (packs with `**kwargs` count on it), literals under declared names."""
    arguments: Arguments = {}
    for name, value in given.items():
        spec = find(name)
        if is_link(value) and not (spec is not None and spec.raw_link):
            arguments[name] = of_link(value[0], value[1])
        elif spec is not None or name in schema.hidden:
            arguments[name] = [value]
    return arguments
