"""The table of the node package as JSON: what each class publishes through INPUT_TYPES and RETURN_TYPES."""

import json
from typing import Any

from comfyserve.core.inputs.companions import OUTPUTS, TOOLS
from comfyserve.core.inputs.externals import CATEGORY, EXTERNALS
from comfyserve.core.inputs.node_class import Field, NodeClass
from comfyserve.core.inputs.node_help import CLASS_HELP, field_help


def node_table() -> str:
    """The text of `comfy_nodes/_table.json`."""
    classes = node_classes()
    table = {
        "generated_by": "script/generate-nodes",
        "category": CATEGORY,
        "classes": {class_type: _class(class_type, node) for class_type, node in classes.items()},
    }
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def node_classes() -> dict[str, NodeClass]:
    """Every class of the package: inputs, outputs, tools."""
    return {class_type: external.node for class_type, external in EXTERNALS.items()} | dict(OUTPUTS) | dict(TOOLS)


def _class(class_type: str, node: NodeClass) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "required": {field.name: _entry(class_type, field) for field in node.fields if field.required},
        "optional": {field.name: _entry(class_type, field) for field in node.fields if not field.required},
        "hidden": dict(node.hidden),
    }
    return {
        "title": node.title,
        "description": CLASS_HELP[class_type].summary,
        "inputs": {category: fields for category, fields in inputs.items() if fields},
        "outputs": [list(output) for output in node.outputs],
        "output_node": node.output_node,
    }


def _entry(class_type: str, field: Field) -> list[Any]:
    options = dict(field.options) | ({"files": field.files} if field.files else {})
    kind = field.type if isinstance(field.type, str) else list(field.type)
    return [kind, options | {"tooltip": field_help(class_type, field.name)}]
