"""The graph of a running prompt with the nodes that expansions added: what a node gets for DYNPROMPT (spec 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfyserve.embedded.graph.run_errors import DuplicateNodeError, ExpansionLimitError, NodeNotFoundError

Graph = dict[str, Any]

EXPANDED_NODES = 10_000
"""How many nodes expansions may add unless a setting says otherwise; node packages build prompts without one."""
MAX_ID_CHARACTERS = 16 * 1024 * 1024
"""All ids of added nodes together: nested expansions have ids that grow with their depth."""


class DynamicPrompt:
    """Node id -> node, and where added nodes come from. The names are those that node packages call."""

    def __init__(self, original_prompt: Graph, most: int = EXPANDED_NODES) -> None:
        self.original_prompt = original_prompt
        self.ephemeral_prompt: Graph = {}
        self.ephemeral_parents: dict[str, str] = {}
        self.ephemeral_display: dict[str, str] = {}
        self._most = most
        self._id_characters = 0

    def get_node(self, node_id: str) -> dict[str, Any]:
        """The node; raises NodeNotFoundError."""
        node = self.ephemeral_prompt.get(node_id) or self.original_prompt.get(node_id)
        if node is None:
            raise NodeNotFoundError(f"The graph has no node {node_id!r}")
        found: dict[str, Any] = node
        return found

    def has_node(self, node_id: object) -> bool:
        return node_id in self.original_prompt or node_id in self.ephemeral_prompt

    def add_ephemeral_node(self, node_id: str, node_info: dict[str, Any], parent_id: str, display_id: str) -> None:
        """Add one node; raises ExpansionLimitError."""
        self._id_characters += len(node_id)
        if len(self.ephemeral_prompt) >= self._most or self._id_characters > MAX_ID_CHARACTERS:
            raise ExpansionLimitError(
                f"Expansions have added {len(self.ephemeral_prompt)} nodes to this prompt; no more are allowed"
            )
        self.ephemeral_prompt[node_id] = node_info
        self.ephemeral_parents[node_id] = parent_id
        self.ephemeral_display[node_id] = display_id

    def add_expansion(self, nodes: Mapping[str, dict[str, Any]], parent_id: str) -> None:
        """Add the nodes that one call answered with; raises DuplicateNodeError, ExpansionLimitError."""
        for node_id in nodes:
            if self.has_node(node_id):
                raise DuplicateNodeError(f"{parent_id} expands into a node {node_id!r}, which exists already")
        for node_id, node in nodes.items():
            self.add_ephemeral_node(node_id, node, parent_id, node.get("override_display_id", parent_id))

    def get_parent_node_id(self, node_id: str) -> str | None:
        """The node that expanded into this one; None for a node of the given graph."""
        return self.ephemeral_parents.get(node_id)

    def get_real_node_id(self, node_id: str) -> str:
        """The node of the given graph that this one comes from."""
        while node_id in self.ephemeral_parents:
            node_id = self.ephemeral_parents[node_id]
        return node_id

    def get_display_node_id(self, node_id: str) -> str:
        """The node of the given graph that shows this one's progress."""
        while node_id in self.ephemeral_display:
            node_id = self.ephemeral_display[node_id]
        return node_id

    def all_node_ids(self) -> set[str]:
        return {*self.original_prompt, *self.ephemeral_prompt}

    def get_original_prompt(self) -> Graph:
        """The graph as it was queued."""
        return self.original_prompt
