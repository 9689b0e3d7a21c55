"""Names of the executor's graph that packs import."""

from __future__ import annotations

from typing import Any

from comfyserve.embedded.graph.blocker import ExecutionBlocker
from comfyserve.embedded.graph.dynamic_prompt import DynamicPrompt
from comfyserve.embedded.graph.node_types import is_link
from comfyserve.embedded.graph.run_errors import DependencyCycleError, NodeInputError, NodeNotFoundError

__all__ = [
    "DependencyCycleError",
    "DynamicPrompt",
    "ExecutionBlocker",
    "NodeInputError",
    "NodeNotFoundError",
    "get_input_info",
    "is_link",
]


def get_input_info(class_def: Any, input_name: str, valid_inputs: Any = None) -> tuple[Any, str | None, Any]:
    """(type, category, options) of a declared input; three times None when there is none."""
    declared = valid_inputs or class_def.INPUT_TYPES()
    for category in ("required", "optional", "hidden"):
        entry = (declared.get(category) or {}).get(input_name)
        if entry is not None:
            options = entry[1] if isinstance(entry, (tuple, list)) and len(entry) > 1 else {}
            return entry if isinstance(entry, str) else entry[0], category, options
    return None, None, None
