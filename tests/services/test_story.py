"""Whatever happens in whatever order, a run's ledger tells one story with one end."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from comfyserve.core.errors import Stale
from comfyserve.core.runs import FINAL, Fact, FactKind
from comfyserve.ports import Claim, StoredOutput
from tests.services.bundle import LEASE, Bundle, hook, open_bundle, owed

FACTS = (
    FactKind.STARTED,
    FactKind.NODE_STARTED,
    FactKind.EXECUTED,
    FactKind.SUCCEEDED,
    FactKind.FAILED,
    FactKind.CANCELLED,
    FactKind.TIMED_OUT,
    FactKind.LOST,
    FactKind.WARNING,
)
ENDINGS = {"succeeded", "failed", "cancelled", "timed_out"}
OUTPUT = StoredOutput("2", "ShowText", "text", 0, value="x")


class Story:
    """Random things that workers, callers and time do to a few runs."""

    def __init__(self, bundle: Bundle, chance: random.Random, run_ids: list[str]) -> None:
        self._bundle = bundle
        self._chance = chance
        self._run_ids = run_ids
        self._claims: list[Claim] = []

    async def go_on(self) -> None:
        """One random step; what is stale is refused and that is all."""
        steps: list[Callable[[], Awaitable[object]]] = [self._claim, self._apply, self._apply, self._cancel, self._wait]
        with suppress(Stale):
            await self._chance.choice(steps)()

    async def _claim(self) -> None:
        if (claim := await self._bundle.record.claim(self._bundle.machine_id, "w/1")) is not None:
            self._claims.append(claim)

    async def _apply(self) -> None:
        if self._claims:
            claim = self._chance.choice(self._claims)
            facts = [Fact(kind) for kind in self._chance.choices(FACTS, k=self._chance.randint(1, 4))]
            outputs = [OUTPUT] * self._chance.randint(0, 1)
            await self._bundle.record.apply(claim.run.id, claim.lease.token, facts, outputs)

    async def _cancel(self) -> None:
        if self._chance.random() < 0.3:
            await self._bundle.cancel.cancel(self._bundle.caller, self._chance.choice(self._run_ids))

    async def _wait(self) -> None:
        self._bundle.clock.step(self._chance.choice([1, LEASE / 2, LEASE + 1]))
        await self._bundle.sweep.run_once()


async def finish_all(bundle: Bundle) -> None:
    """Let time end what is left."""
    for _ in range(20):
        bundle.clock.step(4000)
        await bundle.sweep.run_once()
        while (claim := await bundle.record.claim(bundle.machine_id, "last")) is not None:
            await bundle.finish(claim)


@pytest.mark.parametrize("seed", range(8))
async def test_one_story_with_one_end(tmp_path: Path, seed: int) -> None:
    bundle, chance = await open_bundle(tmp_path), random.Random(seed)
    run_ids = [(await bundle.run(webhooks=hook("http://example.com"))).id for _ in range(4)]
    story = Story(bundle, chance, run_ids)
    for _ in range(60):
        await story.go_on()
    await finish_all(bundle)
    for run_id in run_ids:
        await check(bundle, run_id)
    await bundle.db.close()


async def check(bundle: Bundle, run_id: str) -> None:
    """The promises that hold for every run that has ended."""
    run = await bundle.runs.get(bundle.caller, run_id)
    events = (await bundle.watch.events(bundle.caller, run_id)).items
    assert run.status in FINAL
    assert [event.seq for event in events] == list(range(1, run.last_event + 1))
    assert [event.kind for event in events if event.kind in ENDINGS] == [events[-1].kind]
    assert [event.status for event in events if event.status in FINAL] == [run.status]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert [status for _, status in await owed(bundle, run_id)] == [run.status.value]
    assert run.attempts == len({event.attempt_id for event in events if event.kind == "started"})
    assert run.attempts <= run.max_attempts
    assert run.ended_at == events[-1].at
