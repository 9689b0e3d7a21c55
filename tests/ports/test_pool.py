"""Every Pool keeps the promises of the port."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import EngineLost
from comfyserve.core.runs import Status
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.pools.local import Chorus, LocalPool
from comfyserve.ports import NodeStarted, Outcome, Started
from comfyserve.services.bell import LocalBell
from comfyserve.testing import ScriptedEngine
from comfyserve.work.limits import WorkLimits
from comfyserve.work.worker import MachineState, Worker
from tests.ports.pool_suite import PoolSuite, World
from tests.services.bundle import open_bundle

SCRIPT = (Started(), NodeStarted("2"), Outcome("success"))
CATALOGUE: dict[str, dict[str, Any]] = {name: {"input": {}} for name in ("ComfyUIDeployExternalText", "ShowText")}


class BrokenBell:
    """The bundle's bell, which fails once it was broken, as often as it is asked before it is mended."""

    def __init__(self, bell: LocalBell) -> None:
        self.broken = False
        self.ring = bell.ring
        self.wait = bell.wait
        self._now = bell.now

    def now(self, topic: str) -> int:
        """Fail, or answer."""
        if self.broken:
            raise RuntimeError("a bug of ours")
        return self._now(topic)


@dataclass(frozen=True)
class LocalWorld(World):
    """And what makes its workers crash, and what they told about their machine."""

    bell: BrokenBell
    said: list[MachineState]

    async def says(self, state: MachineState) -> None:
        """Wait until a worker tells this."""
        async with asyncio.timeout(10):
            while state not in self.said:
                await self.bundle.bell.wait("said", 0.1)


class TestLocal(PoolSuite):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[LocalWorld]:
        bundle = await open_bundle(tmp_path)
        fetch = await open_fetching(Guard(), GuardingProxy(Guard()), FetchOptions(tmp_path / "cache"))
        bell = BrokenBell(bundle.bell)
        engines: list[ScriptedEngine] = []
        said: list[MachineState] = []

        async def report(state: MachineState, error: EngineLost | None) -> None:
            said.append(state)
            bundle.bell.ring("said")

        def make_worker(machine_id: str, index: int, another_idle: Callable[[], bool]) -> Worker:
            engines.append(ScriptedEngine(SCRIPT, object_info=CATALOGUE))
            return Worker(
                machine_id=machine_id,
                worker_id=f"local-{index}",
                engine=engines[-1],
                ledger=bundle.record,
                stop=bundle.record,
                live=bundle.live,
                bell=bell,
                blobs=bundle.blobs,
                fetch=fetch,
                limits=WorkLimits(poll=0.2, drain=5),
                monotonic=time.monotonic,
                another_idle=another_idle,
                report=report,
            )

        pool = LocalPool(make_worker)
        yield LocalWorld(pool, bundle, lambda: engines, bell, said)
        await pool.close()
        await fetch.close()
        await bundle.db.close()

    async def test_a_worker_that_crashes_is_told_and_replaced(self, world: LocalWorld) -> None:
        await world.pool.scale(world.bundle.machine_id, 1)
        await world.says("ready")
        world.bell.broken = True
        await world.says("failed")
        world.bell.broken = False
        run = await world.bundle.run()
        assert await world.ended(run.id) is Status.SUCCESS
        assert world.said == ["starting", "ready", "failed", "starting", "ready"]
        assert [engine.closed for engine in world.engines()] == [True, False]

    async def test_a_pool_is_closed_while_a_worker_is_not_yet_replaced(self, world: LocalWorld) -> None:
        await world.pool.scale(world.bundle.machine_id, 1)
        world.bell.broken = True
        await world.says("failed")
        await asyncio.wait_for(world.pool.close(), 5)
        assert [engine.closed for engine in world.engines()] == [True]


async def test_a_machine_is_ready_while_one_of_its_workers_is() -> None:
    said: list[tuple[MachineState, EngineLost | None]] = []

    async def tell(state: MachineState, error: EngineLost | None) -> None:
        said.append((state, error))

    chorus, broken = Chorus(tell), EngineLost("no GPU")
    first, second = chorus.voice(0), chorus.voice(1)
    await first("starting", None)
    await second("failed", broken)
    await first("ready", None)
    await second("starting", None)
    await first("failed", broken)
    await second("failed", EngineLost("none either"))
    assert [state for state, _ in said] == ["starting", "starting", "ready", "ready", "starting", "failed"]
    assert said[-1] == ("failed", broken) and said[2] == ("ready", None)
