"""Every Bell adapter keeps the promises of the port."""

import asyncio
from pathlib import Path

import pytest

from comfyserve.db.database import Database
from comfyserve.ports import Bell
from comfyserve.services.bell import LocalBell, hear_others
from tests.ports.bell_suite import BellSuite


class TestLocal(BellSuite):
    @pytest.fixture
    def bell(self) -> Bell:
        return LocalBell()

    async def test_a_ring_for_all_wakes_every_topic_and_is_not_missed(self) -> None:
        bell = LocalBell()
        bell.ring("t")
        seen = {topic: bell.now(topic) for topic in ("t", "u")}
        waiting = [asyncio.ensure_future(bell.wait(topic, 30, since=since)) for topic, since in seen.items()]
        await asyncio.sleep(0)
        bell.ring_all()
        counters = await asyncio.gather(*waiting)
        assert all(counter != since for counter, since in zip(counters, seen.values(), strict=True))
        assert await bell.wait("t", 30, since=seen["t"]) != seen["t"]

    async def test_what_another_process_commits_rings(self, tmp_path: Path) -> None:
        bell, path = LocalBell(), tmp_path / "shared.db"
        ours, theirs = await Database.open(str(path)), await Database.open(str(path))
        hearing = asyncio.create_task(hear_others(bell, ours.version))
        try:
            seen = await bell.wait("t", 30, since=bell.now("t"))
            waiting = asyncio.ensure_future(bell.wait("t", 30, since=seen))
            await theirs.write(lambda connection: connection.exec_driver_sql("CREATE TABLE another (x)"))
            assert await waiting != seen
        finally:
            hearing.cancel()
            await asyncio.gather(ours.close(), theirs.close())

    async def test_a_forgotten_topic_costs_one_look(self) -> None:
        bell = LocalBell(remembered=2)
        bell.ring("t")
        seen = bell.now("t")
        for index in range(5):
            bell.ring(f"topic {index}")
        assert await bell.wait("t", 30, since=seen) != seen
