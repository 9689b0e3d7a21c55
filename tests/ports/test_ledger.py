"""The database's ledger keeps the promises of the port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.ports.ledger_suite import LedgerSuite, Workplace
from tests.services.bundle import LEASE, Bundle, open_bundle


class TestDatabase(LedgerSuite):
    @pytest.fixture
    async def place(self, tmp_path: Path) -> AsyncIterator[Workplace]:
        bundle = await open_bundle(tmp_path)
        yield _workplace(bundle)
        await bundle.db.close()


def _workplace(bundle: Bundle) -> Workplace:
    async def submit() -> str:
        return (await bundle.run()).id

    async def cancel(run_id: str) -> None:
        await bundle.cancel.cancel(bundle.caller, run_id)

    async def let_leases_end() -> None:
        bundle.clock.step(LEASE + 1)
        await bundle.sweep.run_once()

    async def let_back_off_end() -> None:
        bundle.clock.step(120)

    return Workplace(bundle.record, bundle.record, bundle.machine_id, submit, cancel, let_leases_end, let_back_off_end)
