"""How many runs of each key wait at a worker for something slow, so that they keep no other key's runs from its engine.

A run is in no crowd while its engine has it. A key with as many runs in a crowd as it may have gets no more of that
kind claimed; the runs of other keys, and those that need nothing from there, go on.
"""

from collections import Counter
from collections.abc import Callable

from comfyserve.ports import Busy, Claim
from comfyserve.work.limits import WorkLimits


class Crowd:
    """Runs that wait for one kind of thing: `each` of a key, and `total`. Beyond the total each key may have one."""

    def __init__(self, each: int, total: int) -> None:
        self._each = each
        self._total = total
        self._runs: Counter[str] = Counter()

    @property
    def full(self) -> frozenset[str]:
        """The keys of which no more are taken."""
        most = self._each if self._runs.total() < self._total else 1
        return frozenset(key for key, runs in self._runs.items() if runs >= most)

    def enter(self, key: str) -> None:
        """One more run of this key."""
        self._runs[key] += 1

    def leave(self, key: str) -> None:
        """One less."""
        self._runs[key] -= 1
        if not self._runs[key]:
            del self._runs[key]


class Crowds:
    """Those of a worker: what waits for the outside world (downloads, callers' targets), and for our own storage."""

    def __init__(self, limits: WorkLimits, roomier: Callable[[], None]) -> None:
        """`roomier` is called when runs may be claimed that were passed over before."""
        self.outside = Crowd(limits.outside_each, limits.outside)
        self.storing = Crowd(limits.storing_each, limits.storing)
        self.roomier = roomier

    @property
    def busy(self) -> Busy:
        """Whose runs are to be passed over by the next claim."""
        return Busy(self.storing.full, self.outside.full)

    def admit(self, claim: Claim) -> "Stay":
        """A run that was claimed; it is made ready first."""
        stay = Stay(self, claim.run.key_id, outside=claim.outside)
        stay.make_ready()
        return stay


class Stay:
    """Where one run is in the crowds."""

    def __init__(self, crowds: Crowds, key: str, *, outside: bool) -> None:
        self._crowds = crowds
        self._key = key
        self._outside = outside
        self._crowd: Crowd | None = None

    def make_ready(self) -> None:
        """It is made ready; one with files from outside waits for them."""
        self._move(self._crowds.outside if self._outside else None)

    def step_aside(self) -> None:
        """Its files take long; one without files from outside waits for our storage."""
        self._move(self._crowds.outside if self._outside else self._crowds.storing)

    def execute(self) -> None:
        """Its engine has it."""
        self._move(None)

    def store(self) -> None:
        """Its outputs are converted and stored."""
        self._move(self._crowds.storing)

    def send(self) -> None:
        """Its outputs go to the caller's target."""
        self._move(self._crowds.outside)

    def end(self) -> None:
        """It waits for nothing any more."""
        self._move(None)

    def _move(self, crowd: Crowd | None) -> None:
        if crowd is self._crowd:
            return
        before = self._crowds.busy
        if self._crowd is not None:
            self._crowd.leave(self._key)
        self._crowd = crowd
        if crowd is not None:
            crowd.enter(self._key)
        if before.passes_more_than(self._crowds.busy):
            self._crowds.roomier()
