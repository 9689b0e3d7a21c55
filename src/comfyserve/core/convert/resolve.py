"""Following a link to where its value really comes from: past reroutes, skipped nodes, and walls of subgraphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfyserve.core.convert.problems import malformed
from comfyserve.core.convert.read import ANY, INPUT_NODE, EditorGraph, EditorNode, Slot
from comfyserve.core.convert.scopes import BYPASS, NEVER, Scope

MAX_STEPS = 4_000
"""Steps from a slot to the next that one link is followed: two for each reroute, skipped node or subgraph wall."""

MAX_ALL_STEPS = 1_000_000
"""And all links together; what was followed before costs no step again."""

PASS_THROUGH = frozenset({"Reroute", "Reroute (rgthree)"})
SETTERS = frozenset({"SetNode", "easy setNode"})
GETTERS = frozenset({"GetNode", "easy getNode"})
NAME_SLOT = 0
"""A setter's and a getter's first widget is the name that they share."""

VIRTUAL = frozenset({"PrimitiveNode", "Note", "MarkdownNote"}) | PASS_THROUGH
"""Nodes of the editor itself, which no engine has."""

PACK_VIRTUAL = (
    SETTERS
    | GETTERS
    | frozenset(
        {
            "Bookmark (rgthree)",
            "Fast Actions Button (rgthree)",
            "Fast Bypasser (rgthree)",
            "Fast Groups Bypasser (rgthree)",
            "Fast Groups Muter (rgthree)",
            "Fast Muter (rgthree)",
            "Label (rgthree)",
            "Mute / Bypass Relay (rgthree)",
            "Mute / Bypass Repeater (rgthree)",
            "Node Collector (rgthree)",
            "Random Unmuter (rgthree)",
        }
    )
)
"""Nodes that well-known packs add to the editor only."""


@dataclass(frozen=True)
class Source:
    """Output `slot` of a node that runs, by its id in the API form."""

    node_id: str
    slot: int


@dataclass(frozen=True)
class Promoted:
    """No link: the value of the widget that `scope`'s instance shows under `name`."""

    scope: Scope
    name: str


Found = Source | Promoted | None


class Circle(Exception):
    """Links that only lead to each other, or through more nodes than are followed."""


@dataclass(frozen=True)
class Shape:
    """The slots of a node as the editor has them: inputs in its order, and the types of its outputs."""

    inputs: tuple[Slot, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class _Input:
    """An input to be followed; `type` is what the asker takes, None for the input's own."""

    scope: Scope
    node: EditorNode
    index: int
    type: str | None


@dataclass(frozen=True)
class _Output:
    scope: Scope
    node: EditorNode
    slot: int
    type: str


class Resolver:
    """Finds the sources of inputs. What was followed once is remembered."""

    def __init__(
        self, shapes: Mapping[EditorNode, Shape], subgraphs: Mapping[str, Any], virtual: frozenset[str]
    ) -> None:
        """`virtual`: the classes that no engine has."""
        self._shapes = shapes
        self._subgraphs = subgraphs
        self._virtual = virtual
        self._known: dict[_Output, Found] = {}
        self._left = MAX_ALL_STEPS
        self._setters: dict[EditorGraph, dict[str, EditorNode]] = {}

    def source(self, scope: Scope, node: EditorNode, index: int) -> Found:
        """Where the value of an input comes from; None when nothing that runs is linked.

        Raises Circle, and InvalidGraph over the bound on all steps.
        """
        at: _Input | _Output | Found = _Input(scope, node, index, None)
        passed: list[_Output] = []
        for _ in range(MAX_STEPS):
            if isinstance(at, _Input):
                at = self._from_input(at)
                continue
            if not isinstance(at, _Output) or at in self._known:
                found = self._known[at] if isinstance(at, _Output) else at
                self._known.update(dict.fromkeys(passed, found))
                return found
            self._left -= 1
            if self._left < 0:
                raise malformed("The links of this workflow run through too many reroutes and skipped nodes.")
            passed.append(at)
            at = self._from_output(at)
        raise Circle

    def _slots(self, node: EditorNode) -> tuple[Slot, ...]:
        shape = self._shapes.get(node)
        return node.inputs if shape is None else shape.inputs

    def _from_input(self, at: _Input) -> "_Input | _Output | Found":
        slots = self._slots(at.node)
        if not 0 <= at.index < len(slots):
            return None
        slot = slots[at.index]
        link = None if slot.link is None else at.scope.graph.links.get(slot.link)
        if link is None:
            return None
        wanted = at.type or slot.type
        if link.origin == INPUT_NODE and at.scope.host is not None:
            return self._outside(at.scope, link.origin_slot)
        origin = at.scope.graph.nodes.get(link.origin)
        return None if origin is None else _Output(at.scope, origin, link.origin_slot, wanted)

    def _outside(self, scope: Scope, slot: int) -> "_Input | Found":
        """Through the wall of a subgraph: to the instance's input, or to the value that it shows for it."""
        place = scope.host_slot(slot)
        if place is None or scope.parent is None or scope.host is None:
            return None
        index, name = place
        if index >= 0 and (link := scope.host.inputs[index].link) is not None and link in scope.parent.graph.links:
            return _Input(scope.parent, scope.host, index, None)
        return Promoted(scope, name)

    def _from_output(self, at: _Output) -> "_Input | _Output | Found":
        node = at.node
        if node.mode == NEVER:
            return None
        if node.mode == BYPASS:
            index = self._matching(node, at.slot, at.type)
            return None if index is None else _Input(at.scope, node, index, None)
        if node.type in self._subgraphs:
            return self._inside(at)
        if node.type not in self._virtual:
            return Source(f"{at.scope.path}{node.id}", at.slot)
        if node.type in PASS_THROUGH:
            return _Input(at.scope, node, 0, at.type)
        return self._shared(at) if node.type in GETTERS else None

    def _inside(self, at: _Output) -> "_Input | _Output | Found":
        """Into a subgraph: to the node that its output is linked to."""
        child = at.scope.children.get(at.node.id)
        link = None if child is None else child.graph.output_links.get(at.slot)
        if child is None or link is None:
            return None
        if link.origin == INPUT_NODE:
            return self._outside(child, link.origin_slot)
        origin = child.graph.nodes.get(link.origin)
        return None if origin is None else _Output(child, origin, link.origin_slot, at.type)

    def _shared(self, at: _Output) -> "_Input | None":
        """From a getter to the setter of the same name, in this graph or one around it."""
        name = _shared_name(at.node)
        scope: Scope | None = at.scope
        while scope is not None and name:
            if (setter := self._setters_of(scope).get(name)) is not None:
                return _Input(scope, setter, 0, at.type)
            scope = scope.parent
        return None

    def _setters_of(self, scope: Scope) -> Mapping[str, EditorNode]:
        known = self._setters.get(scope.graph)
        if known is None:
            found = [node for node in scope.graph.nodes.values() if node.type in SETTERS]
            known = self._setters[scope.graph] = {_shared_name(node): node for node in found}
        return known

    def _matching(self, node: EditorNode, slot: int, wanted: str) -> int | None:
        """The input that stands in for an output of a skipped node: the one opposite, or the first that fits."""
        inputs = self._slots(node)
        if wanted == ANY:
            return slot if slot < len(inputs) else 0
        shape = self._shapes.get(node)
        outputs = tuple(one.type for one in node.outputs) if shape is None else shape.outputs
        given = outputs[slot] if slot < len(outputs) else ANY
        if slot < len(inputs) and fits(inputs[slot].type, given) and fits(inputs[slot].type, wanted):
            return slot
        exact = [index for index, one in enumerate(inputs) if one.type == wanted]
        fitting = [index for index, one in enumerate(inputs) if fits(one.type, given) and fits(one.type, wanted)]
        return next(iter([*exact, *fitting]), None)


def fits(one: str, other: str) -> bool:
    """Whether slots of these types can be linked; types in a list are told apart by commas."""
    if one == other or ANY in (one, other):
        return True
    left, right = {part.strip().lower() for part in one.split(",")}, {part.strip().lower() for part in other.split(",")}
    return bool(left & right) or ANY in left | right


def _shared_name(node: EditorNode) -> str:
    value = node.values[NAME_SLOT] if node.values else ""
    return value if isinstance(value, str) else ""
