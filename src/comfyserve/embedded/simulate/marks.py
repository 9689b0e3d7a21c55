"""Which outputs of a graph must be labelled as simulated."""

from collections.abc import Mapping
from typing import Any

MARK = "simulated"


def marks(prompt: Mapping[str, Any], class_mappings: Mapping[str, type], node_id: str | None = None) -> bool:
    """True if the API graph has a class with SIMULATED = True; with `node_id`: at it or above."""
    waiting = list(prompt) if node_id is None else [node_id]
    seen: set[str] = set()
    while waiting:
        node = prompt.get(waiting.pop())
        if not isinstance(node, Mapping):
            continue
        if getattr(class_mappings.get(str(node.get("class_type"))), "SIMULATED", False) is True:
            return True
        sources = _sources(node) - seen
        seen |= sources
        waiting.extend(sources)
    return False


def _sources(node: Mapping[str, Any]) -> set[str]:
    inputs = node.get("inputs")
    values = inputs.values() if isinstance(inputs, Mapping) else ()
    return {value[0] for value in values if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)}
