"""The conversion: every node that runs, with the values of its widgets and the sources of its links."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from comfyserve.core.convert.problems import Problem, malformed, refuse
from comfyserve.core.convert.read import EditorGraph, EditorNode, EditorWorkflow, Slot, number_of, read_workflow
from comfyserve.core.convert.renumber import renumber
from comfyserve.core.convert.resolve import PACK_VIRTUAL, VIRTUAL, Circle, Found, Promoted, Resolver, Shape, Source
from comfyserve.core.convert.rounding import stepped
from comfyserve.core.convert.scopes import BYPASS, NEVER, PRIMITIVE, Scope, unfold
from comfyserve.core.convert.shown import shown_widgets
from comfyserve.core.convert.specs import BROWSER_WIDGETS, CUSTOM_COMBO, DYNAMIC_COMBO, Catalogue, ClassSpec, class_spec
from comfyserve.core.convert.text import file_prefix, plain_prompt
from comfyserve.core.convert.widgets import CHOSEN_INDEX, MISSING, Fields, Widget, chosen_index, read_fields
from comfyserve.core.errors import TooLarge

MAX_CONVERTED_BYTES = 64 * 1024 * 1024
"""Most bytes of JSON that the API form may have: a subgraph with long texts can stand in a workflow many times."""

FILE_PREFIX = "filename_prefix"
SEARCH_NAME = "Node name for S&R"
PACK_FIELDS = ("cnr_id", "aux_id", "ver")
CURVE = "CURVE"
GROUP_NODE = ("workflow>", "workflow/")


def convert_workflow(raw: Any, catalogue: Catalogue, *, max_bytes: int = MAX_CONVERTED_BYTES) -> dict[str, Any]:
    """The API form of a workflow of the editor; its JSON has at most `max_bytes`.

    Raises InvalidGraph for what the editor would not save either, and for nodes that cannot be converted, each with
    its reason in `details["nodes"]`; TooLarge when the result would be.
    """
    return _Conversion(renumber(read_workflow(raw)), catalogue).result(max_bytes)


class _Conversion:
    def __init__(self, workflow: EditorWorkflow, catalogue: Catalogue) -> None:
        self._workflow = workflow
        self._virtual = VIRTUAL | frozenset(name for name in PACK_VIRTUAL if name not in catalogue)
        self._catalogue = catalogue
        self._specs: dict[str, ClassSpec | None] = {}
        self._fields: dict[EditorNode, Fields] = {}
        self._shapes: dict[EditorNode, Shape] = {}
        self._primitives: dict[EditorGraph, dict[tuple[str, str], Any]] = {}
        self._problems: list[Problem] = []
        self._read_nodes()
        self._scopes = unfold(workflow, shown_widgets(workflow, self._fields))
        self._resolver = Resolver(self._shapes, workflow.subgraphs, self._virtual)

    def result(self, max_bytes: int) -> dict[str, Any]:
        """The API form; plain ids come first and in order, as in JSON that a browser writes."""
        converted: dict[str, Any] = {}
        size = 0
        for scope, node in self._running():
            node_id = f"{scope.path}{node.id}"
            if node_id in converted:
                raise malformed(f"Two nodes get the id {node_id}. Give one of them another.", node_id)
            converted[node_id] = self._converted(scope, node, node_id)
            size += _size(node_id, converted[node_id])
            if size > max_bytes:
                raise TooLarge("The API form of this workflow is too large. Use its subgraphs less often.")
        if self._problems:
            raise refuse(self._problems)
        if not converted:
            raise malformed("No node of this workflow runs: all are notes, muted or bypassed.")
        _drop_lost_links(converted)
        plain = sorted((one for one in converted if number_of(one) is not None), key=int)
        return {node_id: converted[node_id] for node_id in dict.fromkeys([*plain, *converted])}

    def _read_nodes(self) -> None:
        for graph in (self._workflow.root, *self._workflow.subgraphs.values()):
            self._primitives[graph] = dict(_primitive_values(graph.nodes.values(), graph.set_by))
            for node in graph.nodes.values():
                spec = None if node.type in self._workflow.subgraphs else self._spec(node.type)
                if spec is not None and node.type not in self._virtual:
                    fields = self._fields[node] = read_fields(node, spec)
                    self._shapes[node] = _shape(node, spec, fields)

    def _spec(self, class_type: str) -> ClassSpec | None:
        if class_type not in self._specs:
            self._specs[class_type] = class_spec(self._catalogue, class_type)
        return self._specs[class_type]

    def _running(self) -> Iterator[tuple[Scope, EditorNode]]:
        skipped = self._virtual | self._workflow.subgraphs.keys()
        for scope in self._scopes:
            for node in scope.graph.nodes.values():
                if node.mode not in (NEVER, BYPASS) and node.type not in skipped:
                    yield scope, node

    def _converted(self, scope: Scope, node: EditorNode, node_id: str) -> dict[str, Any]:
        fields, spec = self._fields.get(node), self._spec(node.type)
        if fields is None or spec is None:
            self._problems.append(Problem(node_id, node.type, _unknown(node.type)))
            return {}
        for one in fields.browser:
            what = BROWSER_WIDGETS[one.type]
            self._problems.append(Problem(node_id, node.type, f"{one.name} is {what}, which only an open editor has"))
        inputs = {name: _literal(value, kind) for name, kind, value in self._values(scope, node, fields)}
        inputs.update(self._linked(scope, node, node_id))
        if node.type == CUSTOM_COMBO:
            inputs[CHOSEN_INDEX] = chosen_index(inputs)
        meta = {"title": node.title or spec.title} | _pack(node.properties)
        return {"inputs": inputs, "class_type": node.type, "_meta": meta}

    def _values(self, scope: Scope, node: EditorNode, fields: Fields) -> Iterator[tuple[str, str, Any]]:
        """The widgets with what they hold when the workflow is queued: name, type, value."""
        for widget in fields.widgets:
            name, options = widget.spec.name, widget.spec.options
            value = self._set_value(scope, node, widget)
            if widget.spec.widget_type == "STRING" and options.get("multiline") and not isinstance(value, str):
                value = "" if value is None or value is MISSING else str(value)
            if isinstance(value, str) and options.get("dynamicPrompts") is True:
                value = plain_prompt(value)
            elif isinstance(value, str) and name == FILE_PREFIX and "%" in value:
                value = file_prefix(value, self._look_up)
            if value is not MISSING:
                yield name, widget.spec.widget_type, value

    def _set_value(self, scope: Scope, node: EditorNode, widget: Widget) -> Any:
        """The value that a subgraph's instance or a primitive node gives to a widget, or its own."""
        name = widget.spec.name
        if name in (given := scope.given.get(node.id, {})):
            return given[name]
        primitives = self._primitives[scope.graph]
        key = (node.id, name)
        return stepped(widget.spec, primitives[key]) if key in primitives else widget.value

    def _linked(self, scope: Scope, node: EditorNode, node_id: str) -> Iterator[tuple[str, Any]]:
        for index, slot in enumerate(self._shapes[node].inputs):
            if slot.link is None:
                continue
            found = self._found(scope, node, index, node_id)
            if isinstance(found, Source):
                yield slot.name, [found.node_id, found.slot]
            elif isinstance(found, Promoted):
                value = self._promoted(found.scope, found.name)
                if value is not MISSING:
                    yield slot.name, _literal(value, "")

    def _found(self, scope: Scope, node: EditorNode, index: int, node_id: str) -> Found:
        try:
            return self._resolver.source(scope, node, index)
        except Circle:
            self._problems.append(Problem(node_id, node.type, "its links run in a circle or through too many nodes"))
            return None

    def _promoted(self, scope: Scope, name: str) -> Any:
        """What an instance of a subgraph shows under a name: its own value, or that of the widget inside."""
        while name not in scope.promoted:
            link = scope.shown.links.get(name)
            if link is None or (target := scope.graph.nodes.get(link.target)) is None:
                return MISSING
            widget = scope.graph.target_widget(link) or ""
            child = scope.children.get(target.id)
            if child is None:
                return self._own_value(scope, target, widget)
            scope, name = child, widget
        return scope.promoted[name]

    def _own_value(self, scope: Scope, node: EditorNode, name: str) -> Any:
        fields = self._fields.get(node)
        for widget in fields.widgets if fields is not None else ():
            if widget.spec.name == name:
                return self._set_value(scope, node, widget)
        return MISSING

    def _look_up(self, node_name: str, widget: str) -> str | None:
        """The text of a widget, by its node's search name or title and its own name."""
        place = self._places.get(node_name)
        value = MISSING if place is None else self._own_value(*place, widget)
        return None if value is MISSING else "" if value is None else str(value)

    @cached_property
    def _places(self) -> Mapping[str, tuple[Scope, EditorNode]]:
        """The first node of each search name, and of each title that is no search name."""
        named: dict[str, tuple[Scope, EditorNode]] = {}
        titled: dict[str, tuple[Scope, EditorNode]] = {}
        for scope in self._scopes:
            for node in scope.graph.nodes.values():
                named.setdefault(str(node.properties.get(SEARCH_NAME)), (scope, node))
                titled.setdefault(node.title, (scope, node))
        return titled | named


def _unknown(class_type: str) -> str:
    if class_type.startswith(GROUP_NODE):
        return "group nodes are no longer made by the editor; open the workflow there, save it and send that"
    return "the engine has no such node class"


def _shape(node: EditorNode, spec: ClassSpec, fields: Fields) -> Shape:
    """The slots in the editor's order: sockets, widgets that may be linked, and what the file has besides.

    Left out is what belongs to another choice of a dynamic combo, or to a widget that the class does not have.
    """
    saved = {slot.name: slot for slot in node.inputs}
    names = {one.name: one.type for one in [*fields.sockets, *(widget.spec for widget in fields.widgets)]}
    declared = [replace(saved[name], type=kind) if name in saved else Slot(name, kind) for name, kind in names.items()]
    groups = tuple(f"{widget.spec.name}." for widget in fields.widgets if widget.spec.type == DYNAMIC_COMBO)
    extra = [
        slot
        for slot in node.inputs
        if slot.name not in names and slot.widget is None and not slot.name.startswith(groups)
    ]
    outputs = [*spec.outputs, *(slot.type for slot in node.outputs[len(spec.outputs) :])]
    return Shape((*declared, *extra), tuple(outputs))


def _primitive_values(nodes: Any, set_by: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for node in nodes:
        if node.type == PRIMITIVE and node.values:
            for target in set_by.get(node.id, ()):
                yield target, node.values[0]


def _literal(value: Any, kind: str) -> Any:
    """The value as the API form has it: a list is wrapped, so that it is not taken for a link."""
    if kind == CURVE and value is not None:
        return {"__type__": CURVE, "__value__": value}
    return {"__value__": value} if isinstance(value, list) else value


def _pack(properties: Mapping[str, Any]) -> dict[str, str]:
    """Which node pack a node is from, as far as the editor wrote it down."""
    found = {name: properties.get(name) for name in PACK_FIELDS}
    return {name: value for name, value in found.items() if isinstance(value, str) and 0 < len(value) <= 100}


def _drop_lost_links(converted: Mapping[str, Any]) -> None:
    for node in converted.values():
        lost = [name for name, value in node["inputs"].items() if _is_link(value) and value[0] not in converted]
        for name in lost:
            del node["inputs"][name]


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _size(node_id: str, node: Mapping[str, Any]) -> int:
    try:
        return len(json.dumps(node))
    except (ValueError, RecursionError, TypeError) as error:
        raise malformed(f"Node {node_id} has a value that JSON cannot hold: {error}. Take it out.", node_id) from error
