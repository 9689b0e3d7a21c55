"""Subgraphs unfolded: one scope per instance, with the values that an instance gives to widgets inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyserve.core.convert.problems import malformed
from comfyserve.core.convert.read import EditorGraph, EditorNode, EditorWorkflow, Link

NEVER = 2
BYPASS = 4
"""Modes of a node: muted, and skipped while its inputs pass through."""

MAX_DEPTH = 32
MAX_UNFOLDED = 20_000
MAX_WEIGHT = 400_000
MAX_PROXIES = 1_000
"""Subgraphs in subgraphs; nodes of all instances together, and these with their links and inputs; proxy widgets."""

PRIMITIVE = "PrimitiveNode"
OWN_INPUT = "-1"
"""A proxy widget of this node id is the instance's own input of that name."""


@dataclass(frozen=True)
class Shown:
    """The widgets inside a subgraph that its instances show: which link leads to them, and which input they are."""

    links: Mapping[str, Link] = field(default_factory=dict)
    inputs: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(eq=False)
class Scope:
    """A graph at one place: the root, or one instance of a subgraph.

    `path` goes before the ids of its nodes (`12:`). `given` are the values that the instance gives to widgets inside:
    node id -> widget name -> value; `promoted` those it gives to its own inputs, by name.
    """

    path: str
    graph: EditorGraph
    shown: Shown = field(default_factory=Shown)
    parent: "Scope | None" = None
    host: EditorNode | None = None
    children: dict[str, "Scope"] = field(default_factory=dict)
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    promoted: dict[str, Any] = field(default_factory=dict)

    def host_slot(self, index: int) -> tuple[int, str] | None:
        """Where the instance has this input of the subgraph: its place among the instance's inputs, and its name."""
        if self.host is None or index >= len(self.graph.inputs):
            return None
        name = self.graph.inputs[index].name
        for place, slot in enumerate(self.host.inputs):
            if slot.name == name:
                return place, name
        return -1, name


def unfold(workflow: EditorWorkflow, shown: Mapping[str, Shown]) -> list[Scope]:
    """The root scope and every instance's, parents before children. Raises InvalidGraph over a bound.

    `shown`: what instances of each subgraph show, by the subgraph's id.
    Instances that are muted or bypassed stay folded: nothing in them runs.
    """
    root = Scope("", workflow.root)
    scopes = [root]
    nodes = weight = 0
    waiting = [(root, 0)]
    while waiting:
        scope, depth = waiting.pop()
        nodes, weight = nodes + len(scope.graph.nodes), weight + scope.graph.weight
        if max(nodes, len(scopes)) > MAX_UNFOLDED:
            raise malformed(f"With its subgraphs unfolded the workflow has over {MAX_UNFOLDED} nodes. Make it smaller.")
        if weight > MAX_WEIGHT:
            raise malformed(
                f"With its subgraphs unfolded the workflow has over {MAX_WEIGHT} nodes, links and inputs together. "
                "Make it smaller."
            )
        for node in _instances(workflow, scope):
            if depth >= MAX_DEPTH:
                raise malformed(
                    f"Subgraphs stand in each other more than {MAX_DEPTH} deep, or one contains itself.",
                    f"{scope.path}{node.id}",
                )
            child = Scope(f"{scope.path}{node.id}:", workflow.subgraphs[node.type], shown[node.type], scope, node)
            scope.children[node.id] = child
            _give(child)
            scopes.append(child)
            waiting.append((child, depth + 1))
    return scopes


def _instances(workflow: EditorWorkflow, scope: Scope) -> list[EditorNode]:
    return [
        node
        for node in scope.graph.nodes.values()
        if node.type in workflow.subgraphs and node.mode not in (NEVER, BYPASS)
    ]


def _give(scope: Scope) -> None:
    """Read the widgets that an instance shows of its inside: by its inputs, then by its list of proxy widgets."""
    host = scope.host
    if host is None:
        return
    names = scope.shown.links
    if host.named is not None:
        scope.promoted.update({name: host.named[name] for name in names if name in host.named})
    scope.promoted.update(zip(names, host.values, strict=False))
    for entry, value in zip(_proxies(host.properties), host.values, strict=False):
        _give_proxy(scope, entry, value)
    _take(scope)


def _give_proxy(scope: Scope, entry: tuple[str, str], value: Any) -> None:
    node_id, name = entry
    promoted = name if node_id == OWN_INPUT else scope.shown.inputs.get(entry)
    if promoted is not None:
        scope.promoted[promoted] = value
    else:
        _give_inside(scope, entry, value)


def _give_inside(scope: Scope, entry: tuple[str, str], value: Any) -> None:
    node = scope.graph.nodes.get(entry[0])
    if node is not None and node.type == PRIMITIVE and node.id not in scope.given:
        for target, widget in scope.graph.set_by.get(node.id, ()):
            scope.given.setdefault(target, {})[widget] = value
    scope.given.setdefault(entry[0], {})[entry[1]] = value


def _take(scope: Scope) -> None:
    """What the parent gives to a widget of this instance goes on to where that widget really is."""
    parent, host = scope.parent, scope.host
    if parent is None or host is None:
        return
    proxies = {name: (node_id, name) for node_id, name in _proxies(host.properties)}
    for name, value in parent.given.get(host.id, {}).items():
        if name in scope.shown.links:
            scope.promoted[name] = value
        elif name in proxies:
            _give_inside(scope, proxies[name], value)


def _proxies(properties: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    listed = properties.get("proxyWidgets")
    entries = listed if isinstance(listed, list) else []
    return [
        (str(entry[0]), entry[1])
        for entry in entries[:MAX_PROXIES]
        if isinstance(entry, list) and len(entry) >= 2 and isinstance(entry[0], str | int) and isinstance(entry[1], str)
    ]
