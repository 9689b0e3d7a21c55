"""Which frames of a video a loader gives: another rate, some skipped, one of every n (VideoHelperSuite's rules)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

Frame = TypeVar("Frame")


@dataclass(frozen=True, slots=True)
class Selection:
    """`rate` 0 keeps the source's rate, `cap` 0 takes all; `skip` and `nth` count frames of the new rate."""

    rate: float = 0.0
    cap: int = 0
    skip: int = 0
    nth: int = 1

    def frame_time(self, fps: float) -> float:
        """Seconds between two frames of the new rate, before one of every n is taken."""
        return 1 / (self.rate or fps)

    def expected(self, count: int, fps: float) -> int:
        """How many frames come of `count`; about, since a file may have more or fewer than it says."""
        there = int(count / fps * self.rate) if self.rate else count
        kept = -(-max(0, there - self.skip) // self.nth)
        return min(kept, self.cap) if self.cap else kept

    def of(self, frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
        """The chosen ones; no more frames are asked for than needed."""
        kept = islice(self._at_rate(frames, fps), self.skip, None, self.nth)
        return islice(kept, self.cap) if self.cap else kept

    def _at_rate(self, frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
        if not self.rate:
            yield from frames
            return
        # A frame is shown until the next one is due; times are added up as the original does, so that ties fall alike.
        wanted, given = self.frame_time(fps), 1 / fps
        shown = wanted
        for number, frame in enumerate(frames):
            shown += given if number else 0.0
            while shown >= wanted:
                shown -= wanted
                yield frame
