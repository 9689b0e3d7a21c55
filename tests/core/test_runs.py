"""Runs: one table of transitions, leases, attempts; a finished run stays finished."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from comfyserve.core.errors import Stale
from comfyserve.core.runs import (
    ALLOWED,
    CLAIMS_PER_ATTEMPT,
    FINAL,
    HELD,
    RETRY_DELAYS,
    TARGET,
    Fact,
    FactKind,
    Lease,
    Run,
    Status,
    advance,
    check_lease,
    claim,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENDING_FACTS = [FactKind.SUCCEEDED, FactKind.FAILED, FactKind.CANCELLED, FactKind.TIMED_OUT]


def _run(status: Status = Status.QUEUED, **changes: object) -> Run:
    run = Run("r1", "w1", "m1", "k1", status, NOW, max_attempts=3)
    if status in HELD:
        run = replace(run, claims=1, attempt_id="a1", lease=_lease())
    return replace(run, **changes)  # type: ignore[arg-type]  # any field, by name


def _lease(token: str = "t1") -> Lease:
    return Lease(token, "worker", NOW + timedelta(seconds=30))


def _through(run: Run, *kinds: FactKind) -> Run:
    for kind in kinds:
        run = advance(run, Fact(kind), NOW)
    return run


def test_a_good_run_goes_through_every_state() -> None:
    run = claim(_run(), "a1", _lease(), NOW)
    assert (run.status, run.attempt_id, run.claims, run.claimed_at) == (Status.STARTING, "a1", 1, NOW)
    run = _through(run, FactKind.STAGED, FactKind.STARTED, FactKind.NODE_STARTED)
    assert (run.status, run.attempts, run.started_at) == (Status.RUNNING, 1, NOW)
    run = _through(run, FactKind.OUTPUT, FactKind.EXECUTED)
    assert run.status is Status.COLLECTING
    run = _through(run, FactKind.SUCCEEDED)
    assert (run.status, run.ended_at, run.lease, run.error) == (Status.SUCCESS, NOW, None, None)


def test_the_table_has_every_state_and_final_ones_lead_nowhere() -> None:
    assert set(ALLOWED) == set(Status)
    assert {status for status, targets in ALLOWED.items() if not targets} == FINAL
    assert not FINAL & HELD


@given(st.sampled_from(list(FINAL)), st.sampled_from(list(FactKind)))
def test_a_finished_run_stays_finished(status: Status, kind: FactKind) -> None:
    run = _run(status, ended_at=NOW)
    assert advance(run, Fact(kind, {"error": {"code": "late"}}), NOW + timedelta(hours=1)) is run


@given(st.sampled_from([status for status in Status if status not in FINAL]), st.sampled_from(list(FactKind)))
def test_only_allowed_transitions_happen(status: Status, kind: FactKind) -> None:
    run = _run(status)
    try:
        after = advance(run, Fact(kind), NOW)
    except Stale:
        assert kind is FactKind.CLAIMED or TARGET[kind] not in ALLOWED[status]
    else:
        assert after.status is status or after.status in ALLOWED[status]


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.QUEUED])
def test_only_a_queued_run_is_claimed(status: Status) -> None:
    with pytest.raises(Stale):
        claim(_run(status), "a2", _lease("t2"), NOW)


def test_a_claim_goes_through_claim_only() -> None:
    with pytest.raises(Stale):
        advance(_run(), Fact(FactKind.CLAIMED), NOW)
    assert advance(_run(Status.STARTING), Fact(FactKind.CLAIMED), NOW) == _run(Status.STARTING)


def test_the_lease_must_be_the_present_one() -> None:
    run = claim(_run(), "a1", _lease("t1"), NOW)
    check_lease(run, "t1")
    for token in ("t0", ""):
        with pytest.raises(Stale):
            check_lease(run, token)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SUCCESS])
def test_without_a_lease_no_token_fits(status: Status) -> None:
    with pytest.raises(Stale):
        check_lease(_run(status), "t1")


@pytest.mark.parametrize("kind", ENDING_FACTS)
def test_an_ending_lets_the_lease_go(kind: FactKind) -> None:
    assert _through(_run(Status.COLLECTING), kind).lease is None


def test_a_failure_keeps_its_error_and_a_success_has_none() -> None:
    error = {"code": "engine_error", "message": "no"}
    assert advance(_run(Status.RUNNING), Fact(FactKind.FAILED, {"error": error}), NOW).error == error
    assert advance(_run(Status.COLLECTING), Fact(FactKind.SUCCEEDED, {"error": error}), NOW).error is None


def test_a_lost_run_goes_back_to_the_queue_later_and_later() -> None:
    waits = []
    for claims in range(1, 8):
        run = advance(_run(Status.STARTING, claims=claims), Fact(FactKind.LOST), NOW)
        assert (run.status, run.lease, run.attempt_id) == (Status.QUEUED, None, None)
        assert run.not_before is not None
        waits.append((run.not_before - NOW).total_seconds())
    assert waits == [*RETRY_DELAYS, RETRY_DELAYS[-1], RETRY_DELAYS[-1]]


def test_a_run_that_only_waited_behind_a_lost_engine_does_not_wait_again() -> None:
    run = advance(_run(Status.STARTING, claims=3), Fact(FactKind.LOST, {"at_once": True}), NOW)
    assert (run.status, run.not_before, run.attempts) == (Status.QUEUED, NOW, 0)


def test_a_new_claim_forgets_the_wait_and_the_old_attempt() -> None:
    lost = advance(_run(Status.RUNNING, attempts=1), Fact(FactKind.LOST), NOW)
    run = claim(lost, "a2", _lease("t2"), NOW)
    assert (run.attempt_id, run.not_before, run.attempts, run.claims) == ("a2", None, 1, 2)
    with pytest.raises(Stale):
        check_lease(run, "t1")


def test_the_last_attempt_lost_ends_the_run_with_the_reason() -> None:
    error = {"code": "engine_lost", "message": "gone"}
    run = advance(_run(Status.RUNNING, attempts=3), Fact(FactKind.LOST, {"error": error}), NOW)
    assert (run.status, run.error, run.lease) == (Status.FAILED, error, None)


def test_claims_that_never_reach_the_engine_end_the_run_too() -> None:
    run = _run(Status.STARTING, claims=3 * CLAIMS_PER_ATTEMPT)
    assert advance(run, Fact(FactKind.LOST), NOW).status is Status.FAILED


def test_a_lost_run_that_should_stop_is_cancelled_without_an_error() -> None:
    asked = _through(_run(Status.RUNNING), FactKind.CANCEL_REQUESTED)
    run = advance(asked, Fact(FactKind.LOST, {"error": {"code": "engine_lost"}}), NOW)
    assert (run.status, run.error) == (Status.CANCELLED, None)


def test_the_first_cancel_wish_counts() -> None:
    asked = _through(_run(Status.RUNNING), FactKind.CANCEL_REQUESTED)
    again = advance(asked, Fact(FactKind.CANCEL_REQUESTED), NOW + timedelta(seconds=5))
    assert again is asked
    assert asked.cancel_requested_at == NOW


def test_losing_a_waiting_run_changes_nothing() -> None:
    assert advance(_run(), Fact(FactKind.LOST), NOW) == _run()


def test_the_first_start_of_several_attempts_is_kept() -> None:
    lost = advance(_run(Status.RUNNING, attempts=1, started_at=NOW), Fact(FactKind.LOST), NOW)
    later = NOW + timedelta(minutes=1)
    again = advance(claim(lost, "a2", _lease("t2"), later), Fact(FactKind.STARTED), later)
    assert (again.started_at, again.attempts) == (NOW, 2)


class AnyLife(RuleBasedStateMachine):
    """Whatever happens in whatever order, what a run promises holds."""

    @initialize(attempts=st.integers(1, 3))
    def begin(self, attempts: int) -> None:
        self.run = replace(_run(), max_attempts=attempts)
        self.now = NOW
        self.ended: Run | None = None
        self.claims = 0

    @precondition(lambda self: self.run.status is Status.QUEUED)
    @rule()
    def claimed(self) -> None:
        self.claims += 1
        self.run = claim(self.run, f"a{self.claims}", _lease(f"t{self.claims}"), self.now)

    @rule(kind=st.sampled_from(list(FactKind)))
    def happens(self, kind: FactKind) -> None:
        self.now += timedelta(seconds=1)
        try:
            self.run = advance(self.run, Fact(kind, {"error": {"code": kind.value}}), self.now)
        except Stale:
            return
        if self.run.final and self.ended is None:
            self.ended = self.run

    @invariant()
    def a_final_run_never_changes(self) -> None:
        assert self.ended is None or self.run is self.ended

    @invariant()
    def exactly_the_held_runs_have_a_lease(self) -> None:
        assert (self.run.lease is not None) == (self.run.status in HELD)

    @invariant()
    def attempts_are_bounded(self) -> None:
        assert self.run.attempts <= self.run.max_attempts
        assert self.run.claims <= self.run.max_attempts * CLAIMS_PER_ATTEMPT

    @invariant()
    def only_ended_runs_have_an_end(self) -> None:
        assert (self.run.ended_at is not None) == self.run.final


TestAnyLife = AnyLife.TestCase


@pytest.mark.parametrize(("status", "attempts"), [(Status.STARTING, 2), (Status.RUNNING, 1), (Status.COLLECTING, 1)])
def test_a_loss_without_blame_costs_no_attempt(status: Status, attempts: int) -> None:
    lost = advance(_run(status, attempts=2), Fact(FactKind.LOST, {"blameless": True, "at_once": True}), NOW)
    assert (lost.status, lost.attempts, lost.not_before) == (Status.QUEUED, attempts, NOW)
    last = advance(_run(Status.RUNNING, attempts=3), Fact(FactKind.LOST, {"blameless": True}), NOW)
    assert (last.status, last.attempts) == (Status.QUEUED, 2)
