"""Which inputs a graph declares: the function signature of a workflow (external-nodes.md section 4, Discovery)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfyserve.core.graph import Graph, Node
from comfyserve.core.inputs.coerce import Misfit, coerce
from comfyserve.core.inputs.externals import EXTERNALS, INPUT_ID, MEDIA, SEED_LIMIT, External, Kind

MAX_CHOICES = 1_000

Number = int | float


@dataclass(frozen=True)
class Group:
    """Inputs that a form shows together."""

    id: str
    title: str


@dataclass(frozen=True)
class Input:
    """A value that callers may set, in every node of `node_ids`.

    `default` is None when it comes through a link or there is none. `choices` restrict any kind; a number with choices
    is shown as a choice and stays a number. `field` is `input_id` for a declared input and the field's own name for
    one that is addressed as node id + input name. `from_deployment` says that the default is the deployment's and is
    bound when the caller gives no value. `by_address`: the choices are the engine's own models, and the address of
    another one may be given, too.
    """

    id: str
    kind: Kind
    class_type: str
    node_ids: tuple[str, ...]
    label: str
    description: str = ""
    default: Any = None
    minimum: Number | None = None
    maximum: Number | None = None
    step: Number | None = None
    choices: tuple[Any, ...] = ()
    multiline: bool = False
    group: Group | None = None
    order: float | None = None
    field: str = INPUT_ID
    from_deployment: bool = False
    by_address: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON for a page or an API; what does not apply is left out."""
        told: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind.value,
            "label": self.label,
            "description": self.description,
            "default": list(self.default) if isinstance(self.default, tuple) else self.default,
            "node_ids": list(self.node_ids),
            "class_type": self.class_type,
        }
        if self.multiline:
            told["multiline"] = True
        if self.choices:
            told["choices"] = list(self.choices)
        if self.group:
            told["group"] = {"id": self.group.id, "title": self.group.title}
        bounds = {"minimum": self.minimum, "maximum": self.maximum, "step": self.step}
        return told | {key: value for key, value in bounds.items() if value is not None}


def declare(graph: Graph) -> tuple[Input, ...]:
    """The declared inputs in the order to show. Nodes that share an `input_id` are one input."""
    declared: dict[str, Input] = {}
    for node_id, node in graph.nodes.items():
        one = _declared(node_id, node)
        if one is not None:
            declared[one.id] = _merged(declared[one.id], one) if one.id in declared else one
    return tuple(sorted(declared.values(), key=lambda one: math.inf if one.order is None else one.order))


def saved_default(node: Node, external: External) -> Any:
    """The scalar default that a node was saved with, or None when it is linked, absent or unreadable."""
    value = node.inputs.get(external.default) if external.default else None
    if value is None or (isinstance(value, list) and external.kind is not Kind.IMAGES):
        return None
    if external.kind in MEDIA or external.kind is Kind.MODEL:
        return _saved_file(value, external.kind)
    try:
        return coerce(external.kind, value)
    except Misfit:
        return None


def seed_range(node: Node) -> tuple[int, int]:
    """The limits of an External Seed as the node applies them: kept inside 1..SEED_LIMIT, put in order."""
    low, high = _bound(node, "min_value"), _bound(node, "max_value")
    limits = (1 if low is None else low, SEED_LIMIT if high is None else high)
    first, second = (max(1, min(int(limit), SEED_LIMIT)) for limit in limits)
    return min(first, second), max(first, second)


def _declared(node_id: str, node: Node) -> Input | None:
    external = EXTERNALS.get(node.class_type)
    input_id = node.inputs.get(INPUT_ID)
    if external is None or not isinstance(input_id, str) or not input_id:
        return None
    field = external.field(external.default)
    options = field.options if field else {}
    low, high = _bounds(node, external)
    return Input(
        id=input_id,
        kind=external.kind,
        class_type=node.class_type,
        node_ids=(node_id,),
        label=_words(node.inputs.get("display_name")) or input_id,
        description=_words(node.inputs.get("description")),
        default=saved_default(node, external),
        minimum=low,
        maximum=high,
        step=1 if external.kind in (Kind.INTEGER, Kind.SEED) else options.get("step"),
        choices=_choices(node.inputs.get(external.options)) if external.options else (),
        multiline=external.kind is Kind.TEXT and bool(options.get("multiline")),
        group=_group(node.meta),
        order=_order(node.meta.get("cd_input_order")),
    )


def _merged(first: Input, second: Input) -> Input:
    """One input of two nodes: the first one's words where it has any, and the bounds that suit both."""
    lows = [one for one in (first.minimum, second.minimum) if one is not None]
    highs = [one for one in (first.maximum, second.maximum) if one is not None]
    orders = [one for one in (first.order, second.order) if one is not None]
    return replace(
        first,
        node_ids=(*first.node_ids, *second.node_ids),
        label=first.label if first.label != first.id else second.label,
        description=first.description or second.description,
        default=second.default if first.default is None else first.default,
        minimum=max(lows, default=None),
        maximum=min(highs, default=None),
        choices=_common(first.choices, second.choices),
        group=first.group or second.group,
        order=min(orders, default=None),
    )


def _common(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    if not first or not second:
        return first or second
    return tuple(one for one in first if one in second) or first


def _bounds(node: Node, external: External) -> tuple[Number | None, Number | None]:
    if external.kind is Kind.SEED:
        return seed_range(node)
    return tuple(_bound_or_default(node, external, name) for name in (external.minimum, external.maximum))  # type: ignore[return-value]  # two names, two bounds


def _bound_or_default(node: Node, external: External, name: str) -> Number | None:
    if not name or name in node.inputs:
        return _bound(node, name)
    field = external.field(name)
    return field.options["default"] if field else None


def _bound(node: Node, name: str) -> Number | None:
    try:
        value: Number = coerce(Kind.NUMBER, node.inputs.get(name))
    except Misfit:
        return None
    return value


def _choices(options: Any) -> tuple[Any, ...]:
    try:
        parsed = json.loads(options) if isinstance(options, str) else options
    except (ValueError, RecursionError):
        return ()
    if not isinstance(parsed, list):
        return ()
    return tuple(one for one in parsed[:MAX_CHOICES] if _is_scalar(one))


def _saved_file(value: Any, kind: Kind) -> Any:
    if kind is not Kind.IMAGES:
        return value if isinstance(value, str) and value else None
    items = _choices(value)
    return tuple(one for one in items if isinstance(one, str)) or None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _words(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _group(meta: Mapping[str, Any]) -> Group | None:
    group_id = meta.get("cd_input_group_id")
    if not isinstance(group_id, str | int) or isinstance(group_id, bool) or group_id == "":
        return None
    return Group(str(group_id), _words(meta.get("cd_group_name")) or str(group_id))


def _order(value: Any) -> float | None:
    try:
        return float(coerce(Kind.NUMBER, value))
    except Misfit:
        return None
