"""What every Pool must do. A test class inherits this and brings a `world` fixture."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from comfyserve.core.runs import Status
from comfyserve.ports import Pool
from comfyserve.testing import ScriptedEngine
from tests.services.bundle import Bundle


@dataclass(frozen=True)
class World:
    """A pool over real services; `engines` are those its workers were given so far."""

    pool: Pool
    bundle: Bundle
    engines: Callable[[], Sequence[ScriptedEngine]]

    async def ended(self, run_id: str) -> Status:
        """How a run ended."""
        async with asyncio.timeout(10):
            return (await self.bundle.watch.wait(self.bundle.caller, run_id, 10)).status


class PoolSuite:
    """The promises of the port."""

    async def test_workers_run_what_is_queued(self, world: World) -> None:
        await world.pool.scale(world.bundle.machine_id, 2)
        runs = [await world.bundle.run() for _ in range(6)]
        assert [await world.ended(run.id) for run in runs] == [Status.SUCCESS] * 6
        assert sum(len(engine.submitted) for engine in world.engines()) == 6

    async def test_what_was_queued_before_is_run_too(self, world: World) -> None:
        run = await world.bundle.run()
        await world.pool.scale(world.bundle.machine_id, 1)
        assert await world.ended(run.id) is Status.SUCCESS

    async def test_surplus_workers_end_with_their_engines(self, world: World) -> None:
        await world.pool.scale(world.bundle.machine_id, 3)
        await world.pool.scale(world.bundle.machine_id, 1)
        assert sorted(engine.closed for engine in world.engines()) == [False, True, True]
        assert await world.ended((await world.bundle.run()).id) is Status.SUCCESS

    async def test_without_workers_runs_wait(self, world: World) -> None:
        await world.pool.scale(world.bundle.machine_id, 1)
        await world.pool.scale(world.bundle.machine_id, 0)
        run = await world.bundle.run()
        assert (await world.bundle.runs.get(world.bundle.caller, run.id)).status is Status.QUEUED

    async def test_closing_ends_everything(self, world: World) -> None:
        await world.pool.scale(world.bundle.machine_id, 2)
        await world.pool.close()
        assert all(engine.closed for engine in world.engines())
