"""Results kept from one prompt to the next, within a bound on their bytes (spec 9, caching)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfyserve.embedded.cache.policy import CacheKind, CachePolicy
from comfyserve.embedded.cache.result_size import size_of
from comfyserve.embedded.cache.signatures import Signature

Owner = tuple[str, str]
"""Node id and class: whose expansion a scope belongs to."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a node gave: a list of values for each output slot, and its UI object if it has one."""

    outputs: tuple[list[Any], ...]
    ui: dict[str, list[Any]] | None = None


@dataclass(slots=True, eq=False)
class Scope:
    """The results of one graph: the prompt's own, or one node's expansion inside another scope."""

    signatures: set[Signature] = field(default_factory=set)
    inside: dict[Owner, Scope] = field(default_factory=dict)


@dataclass(slots=True)
class _Entry:
    result: Result
    size: int
    generation: int


class ResultCache:
    """(scope, signature) -> Result. A prompt begins with begin(), an expansion with enter()."""

    def __init__(self, policy: CachePolicy | None = None) -> None:
        self._policy = policy or CachePolicy()
        self._entries: dict[tuple[Scope, Signature], _Entry] = {}
        self._size = 0
        self._generation = 0
        self.root = Scope()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """About how many bytes the results take."""
        return self._size

    def get(self, scope: Scope, signature: Signature) -> Result | None:
        """The result, which becomes the most recently used one."""
        entry = self._entries.pop((scope, signature), None)
        if entry is None:
            return None
        entry.generation = self._generation
        self._entries[(scope, signature)] = entry
        return entry.result

    def put(self, scope: Scope, signature: Signature, result: Result) -> None:
        """Keep a result as the policy says; it may not be kept at all."""
        if self._policy.kind is CacheKind.NONE:
            return
        self._drop(scope, signature)
        size = size_of((result.outputs, result.ui), self._policy.size)
        self._entries[(scope, signature)] = _Entry(result, size, self._generation)
        scope.signatures.add(signature)
        self._size += size
        while self._size > self._policy.size:
            self._drop(*next(iter(self._entries)))

    def begin(self, nodes: Mapping[str, Signature], owners: Collection[Owner]) -> None:
        """A prompt of these nodes starts: drop what the policy does not keep beyond the last one."""
        self._generation += 1
        signatures = set(nodes.values())
        self._retain(self.root, signatures, set(owners))
        for signature in signatures:
            self.get(self.root, signature)
        if self._policy.kind is CacheKind.LRU:
            self._drop_generations()

    def enter(self, scope: Scope, owner: Owner, nodes: Mapping[str, Signature], owners: Collection[Owner]) -> Scope:
        """The scope for what a node of `scope` expanded into; keeps what these nodes can use again."""
        inner = scope.inside.setdefault(owner, Scope())
        self._retain(inner, set(nodes.values()), set(owners))
        return self.root if self._policy.kind is CacheKind.LRU else inner

    def clear(self) -> None:
        self._entries.clear()
        self._size = 0
        self.root = Scope()

    def _retain(self, scope: Scope, signatures: set[Signature], owners: set[Owner]) -> None:
        if self._policy.kind is not CacheKind.LRU:
            self._drop_all(scope, scope.signatures - signatures)
        for owner in [owner for owner in scope.inside if owner not in owners]:
            self._forget(scope.inside.pop(owner))

    def _forget(self, scope: Scope) -> None:
        waiting = [scope]
        while waiting:
            gone = waiting.pop()
            self._drop_all(gone, set(gone.signatures))
            waiting.extend(gone.inside.values())

    def _drop_generations(self) -> None:
        """Whole prompts are forgotten at once, the oldest first, never the one that starts now."""
        oldest = min((entry.generation for entry in self._entries.values()), default=0)
        while len(self._entries) > self._policy.entries and oldest < self._generation:
            oldest += 1
            old = [key for key, entry in self._entries.items() if entry.generation < oldest]
            for scope, signature in old:
                self._drop(scope, signature)

    def _drop_all(self, scope: Scope, signatures: Iterable[Signature]) -> None:
        for signature in signatures:
            self._drop(scope, signature)

    def _drop(self, scope: Scope, signature: Signature) -> None:
        scope.signatures.discard(signature)
        entry = self._entries.pop((scope, signature), None)
        if entry is not None:
            self._size -= entry.size
