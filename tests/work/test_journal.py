"""The facts of a run reach the ledger whole, whoever is cancelled meanwhile."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from comfyserve.core.runs import Fact, FactKind, Lease, Run
from comfyserve.ports import NOBODY, Busy, Claim, StoredOutput
from comfyserve.work.journal import Journal
from tests.services.bundle import open_bundle

STARTED, WARNING, CANCELLED = Fact(FactKind.STARTED), Fact(FactKind.WARNING), Fact(FactKind.CANCELLED)


class SlowLedger:
    """Notes what is applied; each write lasts until it is let go."""

    def __init__(self, run: Run) -> None:
        self.written: list[Sequence[Fact]] = []
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self._run = run

    async def claim(self, machine_id: str, worker_id: str, busy: Busy = NOBODY) -> Claim | None:
        return None

    async def renew(self, leases: Collection[Lease]) -> frozenset[str]:
        return frozenset()

    async def publish_catalogue(self, machine_id: str, object_info: Mapping[str, Any]) -> None:
        """Nobody asks for it."""

    async def apply(self, run_id: str, token: str, facts: Sequence[Fact], outputs: Sequence[StoredOutput] = ()) -> Run:
        self.asked.set()
        await self.go.wait()
        self.written.append(facts)
        return self._run


async def _claim(folder: Path) -> Claim:
    bundle = await open_bundle(folder)
    await bundle.run()
    claim = await bundle.claim()
    await bundle.db.close()
    return claim


async def test_an_end_that_is_cancelled_takes_no_noted_fact_along(tmp_path: Path) -> None:
    claim = await _claim(tmp_path)
    ledger = SlowLedger(claim.run)
    journal = Journal(ledger, claim, 30.0)
    journal.note(STARTED)
    await ledger.asked.wait()
    journal.note(WARNING)
    ending = asyncio.create_task(journal.finish([Fact(FactKind.SUCCEEDED)]))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait({ending})
    ledger.go.set()
    await asyncio.wait_for(journal.finish([CANCELLED]), 5)
    assert ledger.written == [[STARTED], [WARNING, CANCELLED]]


async def test_an_end_that_is_cancelled_while_it_is_written_leaves_its_facts_to_the_next(tmp_path: Path) -> None:
    claim = await _claim(tmp_path)
    ledger = SlowLedger(claim.run)
    journal = Journal(ledger, claim, 30.0)
    journal.note(STARTED)
    ending = asyncio.create_task(journal.finish([Fact(FactKind.SUCCEEDED)]))
    await ledger.asked.wait()
    ending.cancel()
    await asyncio.wait({ending})
    ledger.go.set()
    await asyncio.wait_for(journal.finish([CANCELLED]), 5)
    assert ledger.written == [[STARTED, CANCELLED]]
