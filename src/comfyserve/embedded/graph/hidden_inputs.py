"""The inputs that the engine fills in by itself: what a node declares under `hidden` (spec 9 and 13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfyserve.embedded.graph.node_types import Schema

UNIQUE_ID = "UNIQUE_ID"


def hidden_values(node_id: str, graph: Any, dynamic_prompt: Any, extra_data: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each kind for one node that runs."""
    return {
        "PROMPT": graph,
        "DYNPROMPT": dynamic_prompt,
        "EXTRA_PNGINFO": extra_data.get("extra_pnginfo"),
        UNIQUE_ID: node_id,
        "AUTH_TOKEN_COMFY_ORG": extra_data.get("auth_token_comfy_org"),
        "API_KEY_COMFY_ORG": extra_data.get("api_key_comfy_org"),
    }


def known_before(node_id: str) -> dict[str, Any]:
    """The same for fingerprints and validators: nothing of the prompt is told them."""
    return hidden_values(node_id, {}, None, {})


def hidden_arguments(schema: Schema, values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """One-value lists for the hidden inputs of a known kind."""
    return {name: [values[word]] for name, word in schema.hidden.items() if word in values}


def asks_for_id(schema: Schema) -> bool:
    """Whether the node's result depends on its id."""
    return UNIQUE_ID in schema.hidden.values()
