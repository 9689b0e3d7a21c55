"""Every Pool keeps the promises of the port."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import EngineLost
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpFetch
from comfyserve.pools.local import LocalPool
from comfyserve.ports import NodeStarted, Outcome, Started
from comfyserve.testing import ScriptedEngine
from comfyserve.work.limits import WorkLimits
from comfyserve.work.worker import MachineState, Worker
from tests.ports.pool_suite import PoolSuite, World
from tests.services.bundle import open_bundle

SCRIPT = (Started(), NodeStarted("2"), Outcome("success"))
CATALOGUE: dict[str, dict[str, Any]] = {name: {"input": {}} for name in ("ComfyUIDeployExternalText", "ShowText")}


async def _unheard(state: MachineState, error: EngineLost | None) -> None:
    """Nobody listens."""


class TestLocal(PoolSuite):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[World]:
        bundle = await open_bundle(tmp_path)
        fetch = HttpFetch(tmp_path / "fetching", Guard())
        engines: list[ScriptedEngine] = []

        def make_worker(machine_id: str, index: int, another_idle: Callable[[], bool]) -> Worker:
            engines.append(ScriptedEngine(SCRIPT, object_info=CATALOGUE))
            return Worker(
                machine_id=machine_id,
                worker_id=f"local-{index}",
                engine=engines[-1],
                ledger=bundle.record,
                stop=bundle.record,
                live=bundle.live,
                bell=bundle.bell,
                blobs=bundle.blobs,
                fetch=fetch,
                limits=WorkLimits(poll=0.2, drain=5),
                monotonic=time.monotonic,
                another_idle=another_idle,
                report=_unheard,
            )

        pool = LocalPool(make_worker)
        yield World(pool, bundle, lambda: engines)
        await pool.close()
        await fetch.close()
        await bundle.db.close()
