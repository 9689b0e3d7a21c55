"""A graph: node id -> class type, inputs, links, in the API form of ComfyUI (comfyui-protocol.md section 2)."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comfyserve.core.errors import InvalidGraph, Place

MAX_NODES = 10_000
SHOWN_NODES = 20
EDITOR_KEYS = frozenset({"nodes", "links"})
EDITOR_HINT = (
    "This is the editor's form of a workflow. Export it with 'Workflow > Export (API)' in ComfyUI "
    "and send that file instead."
)


@dataclass(frozen=True)
class Link:
    """An input that takes output `slot` of node `node_id`."""

    node_id: str
    slot: int


@dataclass(frozen=True)
class Node:
    """One node; `inputs` holds literal values and `[node_id, slot]` links as they stand in the JSON."""

    class_type: str
    inputs: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The node's title in the editor, or its class type."""
        return str(self.meta.get("title") or self.class_type)

    def links(self) -> Iterator[tuple[str, Link]]:
        """The linked inputs with what they link to."""
        for name, value in self.inputs.items():
            if (link := as_link(value)) is not None:
                yield name, link


@dataclass(frozen=True)
class Graph:
    """A checked graph: every link leads to a node of the graph and there is no cycle."""

    nodes: Mapping[str, Node]

    def as_json(self) -> dict[str, Any]:
        """The API form, with fresh dictionaries that the caller may change."""
        return {
            node_id: {"class_type": node.class_type, "inputs": dict(node.inputs)}
            | ({"_meta": dict(node.meta)} if node.meta else {})
            for node_id, node in self.nodes.items()
        }

    def hash(self) -> str:
        """A sha256 that is the same for graphs that compute the same: titles and key order do not count."""
        computed = {node_id: [node.class_type, dict(node.inputs)] for node_id, node in self.nodes.items()}
        text = json.dumps(computed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_inputs(self, changes: Mapping[str, Mapping[str, Any]]) -> "Graph":
        """The graph with the inputs of some nodes changed: node id -> input name -> value."""
        changed = {
            node_id: replace(self.nodes[node_id], inputs={**self.nodes[node_id].inputs, **inputs})
            for node_id, inputs in changes.items()
        }
        return Graph({**self.nodes, **changed})


def as_link(value: Any) -> Link | None:
    """The link that a value stands for, or None for a literal (a link is `[node id, slot]`)."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    source, slot = value
    if not isinstance(source, str) or isinstance(slot, bool) or not isinstance(slot, int | float):
        return None
    return Link(source, int(slot)) if math.isfinite(slot) else None


def parse_graph(raw: Any) -> Graph:
    """Read the API form. Raises InvalidGraph with the node and field at fault."""
    if not isinstance(raw, dict):
        raise InvalidGraph("A graph is a JSON object that maps node ids to nodes.")
    if raw.keys() >= EDITOR_KEYS and isinstance(raw["nodes"], list):
        raise InvalidGraph(EDITOR_HINT, details={"form": "editor"})
    if not raw:
        raise InvalidGraph("The graph has no nodes.")
    if len(raw) > MAX_NODES:
        raise InvalidGraph(f"The graph has {len(raw)} nodes; at most {MAX_NODES} are allowed.")
    graph = Graph({node_id: _parse_node(node_id, node) for node_id, node in raw.items()})
    _check_links(graph)
    _check_cycles(graph)
    return graph


def _parse_node(node_id: Any, raw: Any) -> Node:
    place = Place(node_id=str(node_id))
    if not isinstance(raw, dict):
        raise InvalidGraph(f"Node {node_id} must be an object with class_type and inputs.", place=place)
    class_type, inputs, meta = raw.get("class_type"), raw.get("inputs", {}), raw.get("_meta")
    if not isinstance(class_type, str) or not class_type:
        raise InvalidGraph(f"Node {node_id} has no class_type.", place=Place(node_id=str(node_id), field="class_type"))
    if not isinstance(inputs, dict):
        raise InvalidGraph(f"The inputs of node {node_id} must be an object.", place=place)
    node = Node(class_type, inputs, meta if isinstance(meta, dict) else {})
    _check_storable(node_id, node)
    return node


def _check_storable(node_id: str, node: Node) -> None:
    """JSON has no NaN and UTF-8 no halves of a surrogate pair, although Python reads both from a request."""
    try:
        json.dumps([node.inputs, node.meta], allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidGraph(
            f"Node {node_id} has a value that JSON cannot hold: {error}. Take it out.",
            place=Place(node_id=str(node_id)),
        ) from error


def _check_links(graph: Graph) -> None:
    for node_id, node in graph.nodes.items():
        for name, link in node.links():
            if link.node_id not in graph.nodes:
                raise InvalidGraph(
                    f"Input {name} of node {node_id} is linked to node {link.node_id}, which is not in the graph.",
                    place=Place(node_id=node_id, field=name),
                )


def _check_cycles(graph: Graph) -> None:
    waiting = {node_id: {link.node_id for _, link in node.links()} for node_id, node in graph.nodes.items()}
    users: dict[str, list[str]] = {}
    for node_id, sources in waiting.items():
        for source in sources:
            users.setdefault(source, []).append(node_id)
    ready = [node_id for node_id, sources in waiting.items() if not sources]
    done = 0
    while ready:
        finished = ready.pop()
        done += 1
        for user in users.get(finished, []):
            waiting[user].discard(finished)
            if not waiting[user]:
                ready.append(user)
    if done < len(waiting):
        cycle = _find_cycle({node_id: sources for node_id, sources in waiting.items() if sources})
        raise InvalidGraph(
            f"The graph has a cycle: {_walk_words(cycle)}. Remove one of these links.",
            place=Place(node_id=cycle[0]),
            details={"nodes": cycle},
        )


def _find_cycle(waiting: Mapping[str, set[str]]) -> list[str]:
    """Follow what each stuck node waits for until a node comes again: the walk between is a cycle."""
    node_id = min(waiting)
    walked: dict[str, int] = {}
    while node_id not in walked:
        walked[node_id] = len(walked)
        node_id = min(waiting[node_id])
    return list(walked)[walked[node_id] :][::-1]


def _walk_words(cycle: list[str]) -> str:
    if len(cycle) > SHOWN_NODES:
        return f"{' -> '.join(cycle[:SHOWN_NODES])} -> ... ({len(cycle)} nodes)"
    return " -> ".join([*cycle, cycle[0]])
