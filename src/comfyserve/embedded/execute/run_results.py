"""The results that one running prompt uses: what its nodes gave, and what the cache has of earlier prompts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from comfyserve.embedded.cache.results import Owner, Result, ResultCache, Scope
from comfyserve.embedded.cache.signatures import Signature, sign
from comfyserve.embedded.graph.graph_view import GraphView

Fingerprint = Callable[[str], Awaitable[Any]]
"""Asks a node whether it changed."""


class RunResults:
    """Node id -> Result. A result that nodes still need is held here, whatever the cache does with it."""

    def __init__(self, view: GraphView, cache: ResultCache, fingerprint: Fingerprint) -> None:
        self._view = view
        self._cache = cache
        self._fingerprint = fingerprint
        self._changed: dict[str, Any] = {}
        self._signatures: dict[str, Signature] = {}
        self._scopes: dict[str, Scope] = {}
        self._held: dict[str, Result] = {}

    async def begin(self) -> list[str]:
        """Ask for all fingerprints and let the cache forget; returns the nodes that need not run."""
        nodes = list(self._view.graph)
        signatures = await self._sign(nodes)
        self._cache.begin(signatures, self._owners(nodes))
        return [node_id for node_id in nodes if self.get(node_id) is not None]

    async def expand(self, parent: str, nodes: list[str]) -> None:
        """The same for nodes that an expansion added: they have a scope of their own."""
        signatures = await self._sign(nodes)
        scope = self._cache.enter(self._scope(parent), self._owner(parent), signatures, self._owners(nodes))
        self._scopes.update(dict.fromkeys(nodes, scope))

    def get(self, node_id: str) -> Result | None:
        """The node's result, None when it has to run."""
        held = self._held.get(node_id)
        if held is not None:
            return held
        signature = self._signatures.get(node_id)
        return None if signature is None else self._cache.get(self._scope(node_id), signature)

    def hold(self, node_id: str) -> bool:
        """Whether there is a result; it stays until release()."""
        result = self.get(node_id)
        if result is None:
            return False
        self._held[node_id] = result
        return True

    def put(self, node_id: str, result: Result) -> None:
        """The node has run."""
        self._held[node_id] = result
        self._cache.put(self._scope(node_id), self._signatures[node_id], result)

    def release(self, node_ids: Iterable[str]) -> None:
        """No node of this prompt needs these any more."""
        for node_id in node_ids:
            self._held.pop(node_id, None)

    async def _sign(self, nodes: list[str]) -> dict[str, Signature]:
        for node_id in nodes:
            if self._view.type_of(node_id).fingerprint is not None:
                self._changed[node_id] = await self._fingerprint(node_id)
        sign(self._view, self._changed, nodes, self._signatures)
        return {node_id: self._signatures[node_id] for node_id in nodes}

    def _scope(self, node_id: str) -> Scope:
        return self._scopes.get(node_id, self._cache.root)

    def _owner(self, node_id: str) -> Owner:
        return node_id, self._view.type_of(node_id).name

    def _owners(self, nodes: list[str]) -> set[Owner]:
        return {self._owner(node_id) for node_id in nodes}
