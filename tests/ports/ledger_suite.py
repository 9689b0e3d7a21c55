"""What every Ledger and Stop adapter must do. A test class inherits this and brings a `ledger` fixture."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from comfyserve.core.errors import Stale
from comfyserve.core.runs import Fact, FactKind, Lease, Status
from comfyserve.ports import Claim, Ledger, Stop, StoredOutput

STARTED, EXECUTED, SUCCEEDED = Fact(FactKind.STARTED), Fact(FactKind.EXECUTED), Fact(FactKind.SUCCEEDED)
DONE = (STARTED, EXECUTED, SUCCEEDED)


@dataclass
class Workplace:
    """A ledger with a machine and what the suite needs to make things happen there."""

    ledger: Ledger
    stop: Stop
    machine_id: str
    submit: Callable[[], Awaitable[str]]
    """Queue a run; its id."""
    cancel: Callable[[str], Awaitable[None]]
    """Wish that a run stops."""
    let_leases_end: Callable[[], Awaitable[None]]
    """Let time pass until every lease is over, and sweep."""
    let_back_off_end: Callable[[], Awaitable[None]]
    """Let time pass until a run that was tried before may be claimed."""

    async def claim(self, worker: str = "worker") -> Claim:
        """The next run, which must be there."""
        claim = await self.ledger.claim(self.machine_id, worker)
        assert claim is not None
        return claim


class LedgerSuite:
    """The promises of the port."""

    async def test_nothing_waits(self, place: Workplace) -> None:
        assert await place.ledger.claim(place.machine_id, "worker") is None

    async def test_a_claim_is_ours_alone(self, place: Workplace) -> None:
        run_id = await place.submit()
        claim = await place.claim()
        assert claim.run.id == run_id
        assert claim.run.status is Status.STARTING
        assert claim.run.attempt_id == claim.attempt_id
        assert claim.graph.nodes
        assert await place.ledger.claim(place.machine_id, "another") is None

    async def test_a_run_is_carried_to_its_end(self, place: Workplace) -> None:
        await place.submit()
        claim = await place.claim()
        run = await place.ledger.apply(claim.run.id, claim.lease.token, [STARTED])
        assert (run.status, run.attempts) == (Status.RUNNING, 1)
        output = StoredOutput("2", "ShowText", "text", 0, value="hello")
        run = await place.ledger.apply(claim.run.id, claim.lease.token, [EXECUTED, SUCCEEDED], [output])
        assert run.status is Status.SUCCESS
        assert run.lease is None

    async def test_two_claimers_share_all_runs(self, place: Workplace) -> None:
        wanted = {await place.submit() for _ in range(200)}
        taken: list[str] = []

        async def work(worker: str) -> None:
            while (claim := await place.ledger.claim(place.machine_id, worker)) is not None:
                taken.append(claim.run.id)
                await place.ledger.apply(claim.run.id, claim.lease.token, DONE)

        await asyncio.gather(work("one"), work("two"))
        assert len(taken) == 200
        assert set(taken) == wanted

    async def test_a_strange_token_is_stale(self, place: Workplace) -> None:
        await place.submit()
        claim = await place.claim()
        with pytest.raises(Stale):
            await place.ledger.apply(claim.run.id, "another token", [STARTED])

    async def test_an_absent_run_is_stale(self, place: Workplace) -> None:
        with pytest.raises(Stale):
            await place.ledger.apply("no such run", "token", [STARTED])

    async def test_a_worker_back_from_the_dead_changes_nothing(self, place: Workplace) -> None:
        await place.submit()
        dead = await place.claim("dead")
        await place.let_leases_end()
        second = await place.claim("alive")
        assert second.run.id == dead.run.id
        assert second.attempt_id != dead.attempt_id
        with pytest.raises(Stale):
            await place.ledger.apply(dead.run.id, dead.lease.token, DONE)
        run = await place.ledger.apply(second.run.id, second.lease.token, DONE)
        assert run.status is Status.SUCCESS

    async def test_a_finished_run_takes_nothing_more(self, place: Workplace) -> None:
        await place.submit()
        claim = await place.claim()
        await place.ledger.apply(claim.run.id, claim.lease.token, DONE)
        with pytest.raises(Stale):
            await place.ledger.apply(claim.run.id, claim.lease.token, [Fact(FactKind.FAILED)])

    async def test_facts_after_the_end_are_ignored(self, place: Workplace) -> None:
        await place.submit()
        claim = await place.claim()
        facts = [*DONE, Fact(FactKind.FAILED, {"error": {"code": "x", "message": "x"}})]
        run = await place.ledger.apply(claim.run.id, claim.lease.token, facts)
        assert run.status is Status.SUCCESS
        assert run.error is None

    async def test_a_wrong_order_is_refused_whole(self, place: Workplace) -> None:
        await place.submit()
        claim = await place.claim()
        with pytest.raises(Stale):
            await place.ledger.apply(claim.run.id, claim.lease.token, [STARTED, SUCCEEDED])
        run = await place.ledger.apply(claim.run.id, claim.lease.token, [STARTED])
        assert run.attempts == 1

    async def test_renewed_leases_live_on(self, place: Workplace) -> None:
        await place.submit()
        claim = await place.claim()
        unknown = Lease("unknown", "worker", claim.lease.until)
        assert await place.ledger.renew([claim.lease, unknown]) == {claim.lease.token}
        assert await place.ledger.renew([]) == frozenset()

    async def test_the_lease_of_a_finished_run_is_gone(self, place: Workplace) -> None:
        await place.submit()
        claim = await place.claim()
        await place.ledger.apply(claim.run.id, claim.lease.token, DONE)
        assert await place.ledger.renew([claim.lease]) == frozenset()

    async def test_a_lost_attempt_is_tried_again_and_then_fails(self, place: Workplace) -> None:
        await place.submit()
        lost = Fact(FactKind.LOST, {"reason": "The engine died."})
        claim = await place.claim()
        for _ in range(claim.run.max_attempts - 1):
            run = await place.ledger.apply(claim.run.id, claim.lease.token, [STARTED, lost])
            assert run.status is Status.QUEUED
            await place.let_back_off_end()
            claim = await place.claim()
        run = await place.ledger.apply(claim.run.id, claim.lease.token, [STARTED, lost])
        assert run.status is Status.FAILED
        assert run.error is not None
        assert run.error["message"] == "The engine died."

    async def test_cancel_wishes_reach_the_worker(self, place: Workplace) -> None:
        run_id = await place.submit()
        claim = await place.claim()
        assert await place.stop.wished([run_id]) == frozenset()
        await place.cancel(run_id)
        assert await place.stop.wished([run_id, "other"]) == {run_id}
        run = await place.ledger.apply(run_id, claim.lease.token, [Fact(FactKind.CANCELLED)])
        assert run.status is Status.CANCELLED
        assert await place.stop.wished([]) == frozenset()

    async def test_a_cancelled_run_is_not_tried_again(self, place: Workplace) -> None:
        run_id = await place.submit()
        claim = await place.claim()
        await place.cancel(run_id)
        run = await place.ledger.apply(run_id, claim.lease.token, [Fact(FactKind.LOST, {"reason": "gone"})])
        assert run.status is Status.CANCELLED

    async def test_a_waiting_run_is_cancelled_at_once(self, place: Workplace) -> None:
        await place.cancel(await place.submit())
        assert await place.ledger.claim(place.machine_id, "worker") is None

    async def test_a_catalogue_is_taken_twice(self, place: Workplace) -> None:
        for _ in range(2):
            await place.ledger.publish_catalogue(place.machine_id, {"SaveImage": {"input": {}}})
