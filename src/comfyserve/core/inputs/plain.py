"""Inputs addressed as node id + input name (`12.text`): for graphs without External nodes."""

from typing import Any

from comfyserve.core.catalogue import COMBO, Catalogue, FieldSpec, field_spec
from comfyserve.core.graph import Graph, Node
from comfyserve.core.inputs.declare import Input
from comfyserve.core.inputs.externals import EXTERNALS, INPUT_ID, Kind
from comfyserve.core.media import MediaKind, listed, media_fields
from comfyserve.core.models import takes_models

KIND_BY_TYPE = {"INT": Kind.INTEGER, "FLOAT": Kind.NUMBER, "BOOLEAN": Kind.BOOLEAN, "STRING": Kind.TEXT}


def plain_input(graph: Graph, address: str, catalogue: Catalogue | None = None) -> Input | None:
    """The input behind `<node id>.<field>`, or None when there is no such literal field in the graph.

    Its type comes from the catalogue, or from the value that stands there when the catalogue does not know.
    """
    node_id, _, name = address.partition(".")
    node = graph.nodes.get(node_id)
    if node is None or name not in node.inputs or (name == INPUT_ID and node.class_type in EXTERNALS):
        return None
    value = node.inputs[name]
    spec = field_spec(catalogue, node.class_type, name)
    kind = _kind(node, name, spec, catalogue)
    if kind is None:
        return None
    options = spec.options if spec else {}
    return Input(
        id=address,
        kind=kind,
        class_type=node.class_type,
        node_ids=(node_id,),
        label=f"{node.title}: {name}",
        default=value,
        minimum=_number(options.get("min")),
        maximum=_number(options.get("max")),
        step=_number(options.get("step")),
        choices=(spec.choices or ()) if spec and kind in (Kind.CHOICE, Kind.MODEL) else (),
        multiline=kind is Kind.TEXT and (bool(options.get("multiline")) or "\n" in str(value)),
        field=name,
        by_address=kind is Kind.MODEL,
    )


def _kind(node: Node, name: str, spec: FieldSpec | None, catalogue: Catalogue | None) -> Kind | None:
    value = node.inputs[name]
    if not isinstance(value, str | int | float) and listed(value) is None:
        return None
    for known in media_fields(node.class_type, catalogue):
        if name in known.fields:
            return Kind.IMAGES if known.kind is MediaKind.FOLDER else Kind(known.kind.value)
    if takes_models(node.class_type, name, spec):
        return Kind.MODEL
    if isinstance(value, list):
        return None
    if spec and spec.type == COMBO:
        return Kind.CHOICE if spec.choices is not None else Kind.TEXT
    if spec and spec.type in KIND_BY_TYPE:
        return KIND_BY_TYPE[spec.type]
    if isinstance(value, bool):
        return Kind.BOOLEAN
    return Kind.TEXT if isinstance(value, str) else Kind.NUMBER


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
