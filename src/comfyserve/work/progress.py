"""How far a run is, from what the engine tells about its nodes."""

from collections.abc import Callable
from dataclasses import replace

from comfyserve.core.graph import Graph
from comfyserve.ports import Live, NodeStarted, Preview, Progress

SECONDS_BETWEEN = 0.5
STEPS_FIELD = "steps"
MOST_STEPS = 1000


class ProgressMeter:
    """Turns node progress into the progress of the run, and passes it to Live at most twice a second."""

    def __init__(self, live: Live, run_id: str, graph: Graph, monotonic: Callable[[], float]) -> None:
        self._live = live
        self._run_id = run_id
        self._weights = {node_id: _weight(node.inputs.get(STEPS_FIELD)) for node_id, node in graph.nodes.items()}
        self._whole = sum(self._weights.values())
        self._monotonic = monotonic
        self._seen: dict[str, None] = {}
        self._shown: dict[type, float] = {}

    @property
    def total(self) -> int:
        """How many nodes the graph has."""
        return len(self._weights)

    def node_started(self, event: NodeStarted) -> int:
        """Count a node; the answer is how many have been started, this one included."""
        self._seen[event.node_id] = None
        self._show(Progress(event.node_id, 0, 1, self._fraction(event.node_id, 0.0)))
        return len(self._seen)

    def progress(self, event: Progress) -> None:
        """Show the progress of a node as a part of the run's."""
        share = min(max(event.value / event.maximum, 0.0), 1.0) if event.maximum > 0 else 0.0
        self._show(replace(event, fraction=self._fraction(event.node_id, share)))

    def preview(self, event: Preview) -> None:
        """Show a preview picture."""
        self._show(event)

    def _fraction(self, node_id: str, share: float) -> float:
        done = sum(self._weights.get(seen, 0) for seen in self._seen if seen != node_id)
        return min((done + self._weights.get(node_id, 0) * share) / self._whole, 1.0)

    def _show(self, event: Progress | Preview) -> None:
        now = self._monotonic()
        if now - self._shown.get(type(event), float("-inf")) >= SECONDS_BETWEEN:
            self._shown[type(event)] = now
            self._live.put(self._run_id, event)


def _weight(steps: object) -> int:
    """A node that samples counts as much as its steps; all others count once."""
    return min(max(steps, 1), MOST_STEPS) if isinstance(steps, int) else 1
