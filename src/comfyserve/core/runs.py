"""A run: its states, the facts that move it between them, and the one function that applies a fact.

A finished run stays finished, and a fact from a worker counts only while that worker holds the lease.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from comfyserve.core.errors import Stale


class Status(StrEnum):
    """Where a run is. The last four are final."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    COLLECTING = "collecting"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


FINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELLED, Status.TIMEOUT})
HELD = frozenset({Status.STARTING, Status.RUNNING, Status.COLLECTING})

ALLOWED: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.STARTING, Status.FAILED, Status.CANCELLED, Status.TIMEOUT}),
    Status.STARTING: frozenset({Status.RUNNING, Status.QUEUED, Status.FAILED, Status.CANCELLED, Status.TIMEOUT}),
    Status.RUNNING: frozenset({Status.COLLECTING, Status.QUEUED, Status.FAILED, Status.CANCELLED, Status.TIMEOUT}),
    Status.COLLECTING: frozenset({Status.SUCCESS, Status.QUEUED, Status.FAILED, Status.CANCELLED, Status.TIMEOUT}),
    Status.SUCCESS: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.TIMEOUT: frozenset(),
}


class FactKind(StrEnum):
    """What happened to a run; each kind is also the name of an event in its ledger."""

    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    DOWNLOADED = "downloaded"
    STAGED = "staged"
    STARTED = "started"
    NODE_STARTED = "node_started"
    OUTPUT = "output"
    EXECUTED = "executed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    WARNING = "warning"


TARGET: Mapping[FactKind, Status] = {
    FactKind.CLAIMED: Status.STARTING,
    FactKind.STARTED: Status.RUNNING,
    FactKind.EXECUTED: Status.COLLECTING,
    FactKind.SUCCEEDED: Status.SUCCESS,
    FactKind.FAILED: Status.FAILED,
    FactKind.CANCELLED: Status.CANCELLED,
    FactKind.TIMED_OUT: Status.TIMEOUT,
    FactKind.LOST: Status.QUEUED,
}
"""The state each fact leads to; a fact that is not listed leaves the state as it is."""

CLAIMS_PER_ATTEMPT = 3
"""A run that loses its worker again and again before it reaches the engine ends after this many claims per attempt."""

RETRY_DELAYS = (0.0, 2.0, 10.0, 30.0, 60.0)
"""Seconds to wait before the second, third, ... claim; the last one counts for all later ones."""


@dataclass(frozen=True)
class Fact:
    """One durable fact about a run. `data` is what its event shows: JSON values only. `age`: how many seconds before it
    is written it happened, so that facts which share a write keep their times."""

    kind: FactKind
    data: Mapping[str, Any] = field(default_factory=dict)
    age: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Lease:
    """The right of one worker to one run until `until`; `token` is fresh for every claim."""

    token: str
    worker_id: str
    until: datetime


@dataclass(frozen=True)
class Run:
    """One execution of a graph, as far as its life goes. `attempt_id` is the engine's prompt id of the present try."""

    id: str
    workspace_id: str
    machine_id: str
    key_id: str
    status: Status
    created_at: datetime
    max_attempts: int
    attempts: int = 0
    claims: int = 0
    attempt_id: str | None = None
    lease: Lease | None = None
    not_before: datetime | None = None
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    error: Mapping[str, Any] | None = None

    @property
    def final(self) -> bool:
        """Whether the run has ended, whatever the ending."""
        return self.status in FINAL


def claim(run: Run, attempt_id: str, lease: Lease, now: datetime) -> Run:
    """Give a queued run to a worker. Raises Stale when it is not queued any more."""
    if run.status is not Status.QUEUED:
        raise Stale(f"Run {run.id} is {run.status}; only a queued run can be claimed.")
    return replace(
        run,
        status=Status.STARTING,
        claims=run.claims + 1,
        attempt_id=attempt_id,
        lease=lease,
        claimed_at=now,
        not_before=None,
        error=None,
    )


def check_lease(run: Run, token: str) -> None:
    """Raise Stale unless `token` is the lease under which the run is held now."""
    if run.lease is None or run.lease.token != token:
        raise Stale(f"Run {run.id} is not held under this lease any more.")


def advance(run: Run, fact: Fact, now: datetime) -> Run:
    """The run after `fact`. A final run is returned unchanged; a transition that is not ALLOWED raises Stale,
    and so does CLAIMED for a queued run: only `claim` gives it the lease that it needs.

    LOST sends the run back to the queue while attempts are left, with a delay (unless its data say `at_once`), and
    ends it as failed otherwise; a run whose cancel was asked for ends as cancelled instead. When its data say
    `blameless`, what it had begun was no attempt.
    """
    if run.final:
        return run
    if fact.kind is FactKind.CANCEL_REQUESTED:
        return run if run.cancel_requested_at else replace(run, cancel_requested_at=now)
    if fact.kind is FactKind.LOST:
        return _after_loss(run, fact, now)
    target = TARGET.get(fact.kind, run.status)
    if target is run.status:
        return run
    if target not in ALLOWED[run.status] or target is Status.STARTING:
        raise Stale(f"Run {run.id} is {run.status} and cannot become {target}.")
    if target in FINAL:
        return _ended(run, target, fact, now)
    if target is Status.RUNNING:
        return replace(run, status=target, attempts=run.attempts + 1, started_at=run.started_at or now)
    return replace(run, status=target)


def _ended(run: Run, status: Status, fact: Fact, now: datetime) -> Run:
    error = None if status is Status.SUCCESS else fact.data.get("error", run.error)
    return replace(run, status=status, ended_at=now, lease=None, not_before=None, error=error)


def _after_loss(run: Run, fact: Fact, now: datetime) -> Run:
    if run.status is Status.QUEUED:
        return run
    if run.cancel_requested_at:
        return _ended(run, Status.CANCELLED, Fact(FactKind.CANCELLED), now)
    if fact.data.get("blameless") and run.status is not Status.STARTING:
        run = replace(run, attempts=run.attempts - 1)
    if run.attempts >= run.max_attempts or run.claims >= run.max_attempts * CLAIMS_PER_ATTEMPT:
        return _ended(run, Status.FAILED, fact, now)
    wait = 0.0 if fact.data.get("at_once") else RETRY_DELAYS[min(run.claims - 1, len(RETRY_DELAYS) - 1)]
    return replace(
        run, status=Status.QUEUED, lease=None, attempt_id=None, not_before=now + timedelta(seconds=wait), error=None
    )
