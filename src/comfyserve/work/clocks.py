"""The clocks of an attempt while its engine has it."""

from collections.abc import Callable

from comfyserve.core.errors import ClockRanOut
from comfyserve.ports import Clocks

NEVER = float("inf")
MOST_AHEAD = 8
"""Runs that an engine may execute before the one that waits in it; each may use its whole time."""


class EngineClocks:
    """Waiting for the engine's turn, then running, with signs of life. A clock of 0 seconds never runs out."""

    def __init__(self, clocks: Clocks, now: Callable[[], float]) -> None:
        self._now = now
        self._run = clocks.run or NEVER
        self._silence = clocks.heartbeat or NEVER
        self._waiting = MOST_AHEAD * self._run + (clocks.start or NEVER)
        self._ends = now() + self._waiting
        self._begun = False

    def begin(self) -> None:
        """The engine executes it from now on."""
        self._begun = True
        self._ends = self._now() + self._run

    def next_end(self) -> float | None:
        """When the next of them runs out, unless there is a sign of life before; None: never."""
        first = min(self._ends, self._now() + self._silence) if self._begun else self._ends
        return None if first == NEVER else first

    def ran_out(self) -> ClockRanOut:
        """The one that has."""
        if not self._begun:
            return ClockRanOut("start", self._waiting)
        over = self._now() >= self._ends
        return ClockRanOut("run", self._run) if over else ClockRanOut("heartbeat", self._silence)
