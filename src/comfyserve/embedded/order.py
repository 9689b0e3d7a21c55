"""Which node runs next: a topological order that grows while it is consumed (spec 9, scheduling)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


class DependencyCycleError(Exception):
    """The nodes that are left wait for each other."""


class NodeFacts(Protocol):
    """What the order needs to know of the graph."""

    def sources(self, node_id: str) -> Iterable[str]:
        """The nodes whose results this node needs now (no lazy links)."""

    def is_urgent(self, node_id: str) -> bool:
        """An output node or an asynchronous one."""

    def is_output(self, node_id: str) -> bool: ...


class ReadyOrder:
    """Pending nodes and what blocks them. A node that `is_done` says has its result is never added.

    pick() -> the next node, None when none is ready; then complete() or put_back() it.
    """

    def __init__(self, facts: NodeFacts, is_done: Callable[[str], bool]) -> None:
        self._facts = facts
        self._is_done = is_done
        self._blocked_by: dict[str, set[str]] = {}
        self._blocks: dict[str, set[str]] = {}
        self._ready: dict[str, None] = {}
        self._picked: set[str] = set()

    def __len__(self) -> int:
        """How many nodes are still to be completed."""
        return len(self._blocked_by)

    def add(self, node_id: str) -> None:
        """Add a node and all the ancestors it needs."""
        waiting = [node_id]
        while waiting:
            current = waiting.pop()
            if current in self._blocked_by:
                continue
            self._blocked_by[current] = set()
            self._blocks.setdefault(current, set())
            for source in self._facts.sources(current):
                if not self._is_done(source):
                    waiting.append(source)
                    self._blocked_by[current].add(source)
                    self._blocks.setdefault(source, set()).add(current)
            if not self._blocked_by[current]:
                self._ready[current] = None

    def require(self, node_id: str, source: str) -> None:
        """A lazy link became needed: node_id waits for source."""
        if self._is_done(source):
            return
        self.add(source)
        self._blocked_by[node_id].add(source)
        self._blocks[source].add(node_id)
        self._ready.pop(node_id, None)

    def pick(self) -> str | None:
        """Take the ready node that comes first by preference; None when all wait."""
        if not self._ready:
            return None
        ready = list(self._ready)
        chosen = ready[0] if len(ready) == 1 else self._preferred(ready)
        del self._ready[chosen]
        self._picked.add(chosen)
        return chosen

    def complete(self, node_id: str) -> None:
        """The node has its result: its consumers may become ready."""
        self._picked.discard(node_id)
        del self._blocked_by[node_id]
        for consumer in self._blocks.pop(node_id):
            waits_for = self._blocked_by[consumer]
            waits_for.discard(node_id)
            if not waits_for and consumer not in self._picked:
                self._ready[consumer] = None

    def put_back(self, node_id: str) -> None:
        """The node could not finish: it is ready again, or waits for what it required."""
        self._picked.discard(node_id)
        if not self._blocked_by[node_id]:
            self._ready[node_id] = None

    def first_left(self) -> str:
        """One of the nodes that are still to be completed."""
        return next(iter(self._blocked_by))

    def cycle_error(self) -> DependencyCycleError:
        """The error to raise when nodes are left and none is ready."""
        return DependencyCycleError(f"These nodes wait for each other: {', '.join(sorted(self._blocked_by))}")

    def _preferred(self, ready: list[str]) -> str:
        for node_id in ready:
            if self._facts.is_urgent(node_id):
                return node_id
        for node_id in ready:
            if any(self._facts.is_output(consumer) for consumer in self._blocks[node_id]):
                return node_id
        for node_id in ready:
            if any(self._facts.is_output(last) for next_ in self._blocks[node_id] for last in self._blocks[next_]):
                return node_id
        return ready[0]
