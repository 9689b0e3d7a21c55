"""How far a run is, from what the engine tells about its nodes."""

from collections.abc import Callable
from dataclasses import replace

from comfyserve.ports import Live, NodeStarted, Preview, Progress

SECONDS_BETWEEN = 0.5


class ProgressMeter:
    """Turns node progress into the progress of the run, and passes it to Live at most twice a second."""

    def __init__(self, live: Live, run_id: str, nodes: int, monotonic: Callable[[], float]) -> None:
        self._live = live
        self._run_id = run_id
        self._nodes = max(nodes, 1)
        self._monotonic = monotonic
        self._seen: set[str] = set()
        self._shown: dict[type, float] = {}

    @property
    def total(self) -> int:
        """How many nodes the graph has."""
        return self._nodes

    def node_started(self, event: NodeStarted) -> int:
        """Count a node; the answer is how many have been started, this one included."""
        self._seen.add(event.node_id)
        self._show(Progress(event.node_id, 0, 1, self._fraction(0.0)))
        return len(self._seen)

    def progress(self, event: Progress) -> None:
        """Show the progress of a node as a part of the run's."""
        share = min(max(event.value / event.maximum, 0.0), 1.0) if event.maximum > 0 else 0.0
        self._show(replace(event, fraction=self._fraction(share)))

    def preview(self, event: Preview) -> None:
        """Show a preview picture."""
        self._show(event)

    def _fraction(self, share: float) -> float:
        return min((max(len(self._seen) - 1, 0) + share) / self._nodes, 1.0)

    def _show(self, event: Progress | Preview) -> None:
        now = self._monotonic()
        if now - self._shown.get(type(event), float("-inf")) >= SECONDS_BETWEEN:
            self._shown[type(event)] = now
            self._live.put(self._run_id, event)
