"""Which node runs next: a topological order that grows while it is consumed (spec 9, scheduling)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

URGENT, FEEDS_OUTPUT, FEEDS_FEEDER, REST = range(4)
"""The ranks among ready nodes; the same rank goes by the order of insertion."""


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
    Every step costs what its own links cost, however large the graph is.
    """

    def __init__(self, facts: NodeFacts, is_done: Callable[[str], bool]) -> None:
        self._facts = facts
        self._is_done = is_done
        self._index: dict[str, int] = {}
        self._added = 0
        self._waits_for: dict[str, set[str]] = {}
        self._needs: dict[str, set[str]] = {}
        self._consumers: dict[str, set[str]] = {}
        self._users: dict[str, int] = {}
        self._feeds_output: set[str] = set()
        self._feeds_feeder: set[str] = set()
        self._ready: list[tuple[int, int, str]] = []
        self._picked: set[str] = set()

    def __len__(self) -> int:
        """How many nodes are still to be completed."""
        return len(self._index)

    def __iter__(self) -> Iterator[str]:
        """The nodes that are still to be completed, in the order of insertion."""
        return iter(self._index)

    def add(self, node_id: str) -> None:
        """Add a node and all the ancestors it needs."""
        waiting = [node_id]
        while waiting:
            current = waiting.pop()
            if current in self._index:
                continue
            self._index[current] = self._added
            self._added += 1
            self._waits_for[current] = set()
            self._needs[current] = set()
            for source in self._facts.sources(current):
                if self._link(source, current):
                    waiting.append(source)
            self._offer(current)

    def require(self, node_id: str, source: str) -> None:
        """A lazy link became needed, or an expansion came in between: node_id waits for source."""
        if self._link(source, node_id):
            self.add(source)

    def pick(self) -> str | None:
        """Take the ready node that comes first by preference; None when all wait."""
        while self._ready:
            rank, _, node_id = heapq.heappop(self._ready)
            if self._is_ready(node_id) and rank == self._rank(node_id):
                self._picked.add(node_id)
                return node_id
        return None

    def complete(self, node_id: str) -> list[str]:
        """The node has its result: its consumers may become ready. Returns the nodes whose results nobody needs now."""
        self._picked.discard(node_id)
        del self._index[node_id], self._waits_for[node_id]
        self._feeds_output.discard(node_id)
        self._feeds_feeder.discard(node_id)
        for consumer in self._consumers.pop(node_id, ()):
            self._waits_for[consumer].discard(node_id)
            self._offer(consumer)
        freed = [source for source in self._needs.pop(node_id) if self._release(source)]
        return freed if self._users.get(node_id) else [*freed, node_id]

    def put_back(self, node_id: str) -> None:
        """The node could not finish: it is ready again, or waits for what it required."""
        self._picked.discard(node_id)
        self._offer(node_id)

    def _link(self, source: str, consumer: str) -> bool:
        """Let consumer use source; True when it has to wait for it."""
        if source not in self._needs[consumer]:
            self._needs[consumer].add(source)
            self._users[source] = self._users.get(source, 0) + 1
        if self._is_done(source):
            return False
        self._waits_for[consumer].add(source)
        self._consumers.setdefault(source, set()).add(consumer)
        if self._facts.is_output(consumer):
            self._feed_output(source)
        elif consumer in self._feeds_output:
            self._improve(source, self._feeds_feeder)
        return True

    def _feed_output(self, node_id: str) -> None:
        if node_id not in self._feeds_output:
            self._improve(node_id, self._feeds_output)
            for source in self._waits_for.get(node_id, ()):
                self._improve(source, self._feeds_feeder)

    def _improve(self, node_id: str, better: set[str]) -> None:
        """The node is of a better rank now."""
        better.add(node_id)
        self._offer(node_id)

    def _offer(self, node_id: str) -> None:
        if self._is_ready(node_id):
            heapq.heappush(self._ready, (self._rank(node_id), self._index[node_id], node_id))

    def _is_ready(self, node_id: str) -> bool:
        return node_id in self._index and node_id not in self._picked and not self._waits_for[node_id]

    def _rank(self, node_id: str) -> int:
        if self._facts.is_urgent(node_id):
            return URGENT
        if node_id in self._feeds_output:
            return FEEDS_OUTPUT
        return FEEDS_FEEDER if node_id in self._feeds_feeder else REST

    def _release(self, source: str) -> bool:
        """One user less; True when that was the last."""
        self._users[source] -= 1
        if self._users[source]:
            return False
        del self._users[source]
        return source not in self._index
