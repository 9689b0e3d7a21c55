"""Plain values, and any value shown as text (catalogue of the protocol spec: Strings, primitives, display)."""

from __future__ import annotations

import json
import sys
from typing import Any

from comfyserve.embedded.nodes.declare import LINE, LINES, Family, Spec

family = Family()

MODULE = "comfy_extras.nodes_primitive"
CATEGORY = "utils/primitive"
WIDE = {"min": -sys.maxsize, "max": sys.maxsize}

PRIMITIVES: tuple[tuple[str, str, Spec], ...] = (
    ("PrimitiveString", "String", LINE),
    ("PrimitiveStringMultiline", "String (Multiline)", LINES),
    ("PrimitiveInt", "Int", ("INT", {**WIDE, "control_after_generate": True})),
    ("PrimitiveFloat", "Float", ("FLOAT", WIDE)),
    ("PrimitiveBoolean", "Boolean", ("BOOLEAN", {})),
)


def value_itself(value: Any) -> Any:
    """The value that the widget holds, coerced by the validation."""
    return value


for _name, _title, _spec in PRIMITIVES:
    family.node(_name, MODULE, CATEGORY, {"value": _spec}, (_spec[0],), title=_title, v3=True)(value_itself)


@family.node(
    "PreviewAny",
    "comfy_extras.nodes_preview_any",
    "utils",
    {"source": ("*", {})},
    title="Preview Any",
    output_node=True,
)
def preview_any(source: Any = None) -> dict[str, list[str]]:
    """The value as text: strings as they are, numbers as Python writes them, the rest as JSON where possible."""
    return {"text": [_shown(source)]}


def _shown(source: Any) -> str:
    if isinstance(source, str):
        return source
    if source is None or isinstance(source, (int, float)):
        return str(source)
    try:
        return json.dumps(source)
    except (TypeError, ValueError):
        return str(source)
