"""Every Bell adapter keeps the promises of the port."""

import pytest

from comfyserve.ports import Bell
from comfyserve.services.bell import LocalBell
from tests.ports.bell_suite import BellSuite


class TestLocal(BellSuite):
    @pytest.fixture
    def bell(self) -> Bell:
        return LocalBell()

    async def test_a_forgotten_topic_costs_one_look(self) -> None:
        bell = LocalBell(remembered=2)
        bell.ring("t")
        seen = bell.now("t")
        for index in range(5):
            bell.ring(f"topic {index}")
        assert await bell.wait("t", 30, since=seen) != seen
