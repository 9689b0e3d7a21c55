"""Reading what the ComfyUI editor saves: schema 0.4 (links as arrays) and 1.0 (links as objects), with its subgraphs.

Fields that are absent or of another shape count as empty where the editor itself is as tolerant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from comfyserve.core.convert.problems import malformed

MAX_EDITOR_NODES = 20_000
MAX_SUBGRAPHS = 1_000
MAX_SLOTS = 1_000
MAX_ID = 200
MAX_TYPE_PARTS = 100
"""Most nodes and subgraph definitions of one workflow, inputs or outputs of one node, characters of an id or a name
of a class, and types that one slot takes."""

MAX_NUMBER = 2**53

INPUT_NODE = "-10"
OUTPUT_NODE = "-20"
"""Ids that links use for the inputs and outputs of the subgraph they stand in."""

ANY = "*"
EDITOR_KEYS = frozenset({"nodes", "links"})


@dataclass(frozen=True)
class Slot:
    """An input or an output. `widget` is the name of the widget that an input stands for; outputs have no `link`."""

    name: str
    type: str
    link: str | None = None
    widget: str | None = None


@dataclass(frozen=True)
class Link:
    """A connection between an output and an input of the same graph."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, eq=False)
class EditorNode:
    """A node as saved; `values` are its widgets' in their order, `named` the same by name when the file has them so."""

    id: str
    type: str
    mode: int
    title: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    values: tuple[Any, ...]
    named: Mapping[str, Any] | None
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Boundary:
    """An input of a subgraph, with the ids of the links inside that come from it."""

    name: str
    type: str
    links: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EditorGraph:
    """The root graph, or the definition of a subgraph."""

    name: str
    nodes: Mapping[str, EditorNode]
    links: Mapping[str, Link]
    inputs: tuple[Boundary, ...] = ()

    @cached_property
    def weight(self) -> int:
        """Nodes, links and inputs together: what it costs to walk through one instance."""
        return len(self.nodes) + len(self.links) + sum(len(node.inputs) for node in self.nodes.values())

    @cached_property
    def inner_links(self) -> Mapping[str, tuple[Link, ...]]:
        """The links inside that come from each of the subgraph's inputs, by its name."""
        return {one.name: tuple(self.links[link] for link in one.links if link in self.links) for one in self.inputs}

    @cached_property
    def output_links(self) -> Mapping[int, Link]:
        """What each of the subgraph's outputs is linked to; of links that compete for one, the first in the file."""
        found: dict[int, Link] = {}
        for link in self.links.values():
            if link.target == OUTPUT_NODE:
                found.setdefault(link.target_slot, link)
        return found

    @cached_property
    def set_by(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """What the links from a node lead to: node id -> (node id, widget name) of each."""
        found: dict[str, list[tuple[str, str]]] = {}
        for link in self.links.values():
            if (widget := self.target_widget(link)) is not None:
                found.setdefault(link.origin, []).append((link.target, widget))
        return {origin: tuple(targets) for origin, targets in found.items()}

    def target_widget(self, link: Link) -> str | None:
        """The name of the widget, or else of the input, that a link leads to."""
        target = self.nodes.get(link.target)
        if target is None or link.target_slot >= len(target.inputs):
            return None
        slot = target.inputs[link.target_slot]
        return slot.widget or slot.name


@dataclass(frozen=True)
class EditorWorkflow:
    """A workflow file: the root graph, the subgraphs by their ids, which nodes have as their type, and the last id."""

    root: EditorGraph
    subgraphs: Mapping[str, EditorGraph] = field(default_factory=dict)
    last_id: int = 0


def is_editor_form(raw: Any) -> bool:
    """Whether this is what the editor saves and not the API form."""
    return isinstance(raw, Mapping) and raw.keys() >= EDITOR_KEYS and isinstance(raw["nodes"], list)


def read_workflow(raw: Any) -> EditorWorkflow:
    """The workflow with its bounds checked. Raises InvalidGraph."""
    if not is_editor_form(raw):
        raise malformed("A workflow of the editor is a JSON object with nodes and links.")
    root = _graph(raw)
    if not root.nodes:
        raise malformed("The workflow has no nodes.")
    subgraphs: dict[str, EditorGraph] = {}
    total = len(root.nodes)
    for definition in _definitions(raw):
        graph = _graph(definition)
        subgraphs[_id(definition.get("id"), "a subgraph")] = graph
        total += len(graph.nodes)
        if len(subgraphs) > MAX_SUBGRAPHS or total > MAX_EDITOR_NODES:
            raise malformed(
                f"The workflow has more than {MAX_EDITOR_NODES} nodes or {MAX_SUBGRAPHS} subgraphs. Split it."
            )
    last = raw.get("last_node_id", mapping(raw.get("state")).get("lastNodeId"))
    return EditorWorkflow(root, subgraphs, last if isinstance(last, int) and 0 <= last < MAX_NUMBER else 0)


def number_of(node_id: str) -> int | None:
    """The number that an id is, or None for other text."""
    return int(node_id) if node_id.isascii() and node_id.isdigit() else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def _definitions(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every subgraph definition, also those that stand inside another."""
    waiting: list[Any] = [raw]
    while waiting:
        inner = mapping(mapping(waiting.pop()).get("definitions")).get("subgraphs")
        for definition in inner if isinstance(inner, list) else ():
            if not isinstance(definition, Mapping):
                raise malformed("The definition of a subgraph must be an object.")
            yield definition
            waiting.append(definition)


def _graph(raw: Mapping[str, Any]) -> EditorGraph:
    listed = raw.get("nodes")
    if not isinstance(listed, list):
        raise malformed("The nodes of a workflow must be a list.")
    if len(listed) > MAX_EDITOR_NODES:
        raise malformed(f"The workflow has {len(listed)} nodes; at most {MAX_EDITOR_NODES} are allowed.")
    nodes: dict[str, EditorNode] = {}
    for one in listed:
        node = _node(one)
        if node.id in nodes:
            raise malformed(f"Two nodes have the id {node.id}.", node.id)
        nodes[node.id] = node
    name = raw.get("name")
    return EditorGraph(
        name if isinstance(name, str) else "",
        nodes,
        dict(_links(raw.get("links"))),
        _boundaries(raw.get("inputs")),
    )


def _node(raw: Any) -> EditorNode:
    if not isinstance(raw, Mapping):
        raise malformed("A node must be an object.")
    node_id = _id(raw.get("id"), "a node")
    kind, mode, title = raw.get("type"), raw.get("mode"), raw.get("title")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_ID:
        raise malformed(f"Node {node_id} has no type.", node_id)
    values = raw.get("widgets_values")
    named = values if isinstance(values, Mapping) else raw.get("widgets_values_named")
    return EditorNode(
        id=node_id,
        type=kind,
        mode=mode if isinstance(mode, int) else 0,
        title=title if isinstance(title, str) else "",
        inputs=_slots(raw.get("inputs"), node_id),
        outputs=_slots(raw.get("outputs"), node_id),
        values=tuple(values) if isinstance(values, list) else (),
        named=named if isinstance(named, Mapping) and not isinstance(values, list) else None,
        properties=mapping(raw.get("properties")),
    )


def _slots(raw: Any, node_id: str) -> tuple[Slot, ...]:
    listed = raw if isinstance(raw, list) else []
    if len(listed) > MAX_SLOTS:
        raise malformed(f"Node {node_id} has {len(listed)} slots; at most {MAX_SLOTS} are allowed.", node_id)
    return tuple(_slot(mapping(one)) for one in listed)


def _slot(raw: Mapping[str, Any]) -> Slot:
    name, widget = raw.get("name"), mapping(raw.get("widget")).get("name")
    return Slot(
        name=name if isinstance(name, str) else "",
        type=slot_type(raw.get("type")),
        link=_optional_id(raw.get("link")),
        widget=widget if isinstance(widget, str) else None,
    )


def slot_type(raw: Any) -> str:
    """The type of a slot as text; a list of types is joined by commas, and no type is any type."""
    if isinstance(raw, list):
        return ",".join(str(one) for one in raw[:MAX_TYPE_PARTS] if isinstance(one, str))
    return raw if isinstance(raw, str) and raw else ANY


def _boundaries(raw: Any) -> tuple[Boundary, ...]:
    listed = raw if isinstance(raw, list) else []
    if len(listed) > MAX_SLOTS:
        raise malformed(f"A subgraph has {len(listed)} slots; at most {MAX_SLOTS} are allowed.")
    return tuple(_boundary(mapping(one)) for one in listed)


def _boundary(raw: Mapping[str, Any]) -> Boundary:
    name, links = raw.get("name"), raw.get("linkIds")
    ids = [_optional_id(one) for one in links] if isinstance(links, list) else []
    return Boundary(
        name if isinstance(name, str) else "", slot_type(raw.get("type")), tuple(one for one in ids if one is not None)
    )


def _links(raw: Any) -> Iterator[tuple[str, Link]]:
    for one in raw if isinstance(raw, list) else ():
        if isinstance(one, list) and len(one) >= 5:
            link_id, origin, origin_slot, target, target_slot = one[:5]
        elif isinstance(one, Mapping):
            link_id, origin, origin_slot = one.get("id"), one.get("origin_id"), one.get("origin_slot")
            target, target_slot = one.get("target_id"), one.get("target_slot")
        else:
            continue
        ids = (_optional_id(link_id), _optional_id(origin), _optional_id(target))
        slots = (_index(origin_slot), _index(target_slot))
        if None not in ids and None not in slots:
            yield str(ids[0]), Link(str(ids[1]), slots[0] or 0, str(ids[2]), slots[1] or 0)


def _index(raw: Any) -> int | None:
    """A slot's number; old files have it as text."""
    text = str(raw) if isinstance(raw, int | str) and not isinstance(raw, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _id(raw: Any, of: str) -> str:
    found = _optional_id(raw)
    if not found:
        raise malformed(f"The id of {of} must be a whole number or a short text.")
    return found


def _optional_id(raw: Any) -> str | None:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        return None
    text = raw if isinstance(raw, str) else _digits(raw)
    return text if len(text) <= MAX_ID else None


def _digits(number: int) -> str:
    return str(number) if number.bit_length() < 128 else "x" * (MAX_ID + 1)
