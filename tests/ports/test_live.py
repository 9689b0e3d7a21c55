"""Every Live adapter keeps the promises of the port."""

import pytest

from comfyserve.ports import Live
from comfyserve.services.live import LocalLive
from tests.ports.live_suite import ONE, TWO, LiveSuite


class TestLocal(LiveSuite):
    @pytest.fixture
    def live(self) -> Live:
        return LocalLive()

    async def test_memory_is_bounded_by_runs(self) -> None:
        live = LocalLive(runs=2)
        for run_id in ("a", "b", "c"):
            live.put(run_id, ONE)
        async with live.watch("a") as forgotten, live.watch("c") as kept:
            assert await anext(kept) == ONE
            live.put("a", TWO)
            assert await anext(forgotten) == TWO
