"""The family of domain errors: a code for programs, a sentence for people, the place it is about.

Nothing here knows HTTP. Every wire API maps `code` to its own status and shape in one table.

    DomainError
      InvalidInput     a value the caller sent is wrong; `place` says which
      InvalidGraph     the graph cannot be run as it is
      NotFound         absent, or in another workspace (the two cannot be told apart)
      Unauthorized     no key, an unknown key, an expired key
      Forbidden        the key may not do this
      Conflict         the state of the thing does not allow it
      TooLarge         over a limit on size
      QueueFull        over the limit on waiting runs; `retry_after` seconds
      FetchRefused     the outbound policy forbids the address
      FetchFailed      the address did not give what was asked for
      EngineError      the engine refused the graph or a node raised
      EngineLost       the engine died or stopped answering; the run may be tried again
      ClockRanOut      one of a run's clocks ran out; the code says which
      TargetFailed     the caller's own bucket or address did not take an output
      StorageFailed    our storage is full or does not answer; the run may be tried again
      Stale            the lease is no longer ours; walk away
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where an error sits: a node of the graph, an input of it, or a field of the request."""

    node_id: str | None = None
    field: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The filled keys only, ready for JSON."""
        return {key: value for key, value in (("node_id", self.node_id), ("field", self.field)) if value is not None}


class DomainError(Exception):
    """A failure with a stable `code`, a sentence saying what to change, a place, and more facts in `details`."""

    code = "error"

    def __init__(self, message: str, *, place: Place | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place or Place()
        self.details = dict(details or {})

    def as_dict(self) -> dict[str, Any]:
        """The error as it is stored in a run and shown by the native API."""
        shown: dict[str, Any] = {"code": self.code, "message": self.message}
        if place := self.place.as_dict():
            shown["place"] = place
        if self.details:
            shown["details"] = self.details
        return shown


class InvalidInput(DomainError):
    """A value the caller sent is wrong."""

    code = "invalid_input"


class InvalidGraph(DomainError):
    """The graph cannot be run as it is."""

    code = "invalid_graph"


class NotFound(DomainError):
    """The thing is absent, or belongs to another workspace."""

    code = "not_found"


class Unauthorized(DomainError):
    """No key, an unknown key or an expired one."""

    code = "unauthorized"


class Forbidden(DomainError):
    """The key is good but may not do this."""

    code = "forbidden"


class Conflict(DomainError):
    """The present state of the thing does not allow this."""

    code = "conflict"


class TooLarge(DomainError):
    """Something is over a limit on its size."""

    code = "too_large"


class QueueFull(DomainError):
    """Too many runs are waiting; try again after `retry_after` seconds."""

    code = "queue_full"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, details={"retry_after": retry_after})
        self.retry_after = retry_after


class FetchRefused(DomainError):
    """The outbound policy forbids this address."""

    code = "fetch_refused"


class FetchFailed(DomainError):
    """The address did not give what was asked for; `retryable` says whether another try may help."""

    code = "fetch_failed"

    def __init__(self, message: str, *, place: Place | None = None, retryable: bool = False) -> None:
        super().__init__(message, place=place)
        self.retryable = retryable


class EngineError(DomainError):
    """The engine refused the graph, or a node raised: the user's failure, never tried again."""

    code = "engine_error"


class EngineLost(DomainError):
    """The engine died or stopped answering: nobody's failure yet, the run is tried again."""

    code = "engine_lost"


class EngineUnreached(EngineLost):
    """The engine was gone before anything reached it: what was to be executed has not begun."""


class EngineRestarted(EngineLost):
    """The engine was restarted for a reason that has nothing to do with this run: it does not cost it an attempt."""


class ClockRanOut(DomainError):
    """One of a run's clocks (queue, start, run, heartbeat, collect) ran out; the code is `<clock>_timeout`."""

    def __init__(self, clock: str, seconds: float) -> None:
        super().__init__(CLOCK_SENTENCES[clock].format(seconds=f"{seconds:g}"), details={"seconds": seconds})
        self.clock = clock
        self.code = f"{clock}_timeout"


CLOCK_SENTENCES = {
    "queue": "The run waited longer than {seconds} s in the queue. Add workers or raise the queue timeout.",
    "start": "Getting the run ready took longer than {seconds} s. Check its inputs, or raise the start timeout.",
    "run": "The run took longer than {seconds} s. Ask for less work or raise the run timeout.",
    "collect": "Storing the outputs took longer than {seconds} s. Give fewer of them, or raise the collect timeout.",
    "heartbeat": "The engine gave no sign of life for {seconds} s. Its log may say why.",
}


class TargetFailed(DomainError):
    """A caller's own target refused an output or did not answer; `retryable` says whether another try may help."""

    code = "target_failed"

    def __init__(self, message: str, *, place: Place | None = None, retryable: bool = False) -> None:
        super().__init__(message, place=place or Place(field="target"))
        self.retryable = retryable


class StorageFailed(DomainError):
    """Our storage is full or does not answer; a worker tries the run again."""

    code = "storage_failed"


class Stale(DomainError):
    """The lease is no longer ours: another worker has the run, or it has ended."""

    code = "stale"
