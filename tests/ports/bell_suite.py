"""What every Bell adapter must do. A test class inherits this and brings a `bell` fixture."""

import asyncio

from comfyserve.ports import Bell

LONG = 30.0


class BellSuite:
    """The promises of the port."""

    async def test_a_ring_wakes_everybody_who_waits(self, bell: Bell) -> None:
        seen = bell.now("t")
        waiting = [asyncio.ensure_future(bell.wait("t", LONG, since=seen)) for _ in range(3)]
        await asyncio.sleep(0)
        bell.ring("t")
        counters = await asyncio.gather(*waiting)
        assert all(counter != seen for counter in counters)

    async def test_a_ring_between_two_waits_is_not_missed(self, bell: Bell) -> None:
        seen = bell.now("t")
        bell.ring("t")
        assert await bell.wait("t", LONG, since=seen) == bell.now("t")

    async def test_silence_ends_after_its_time(self, bell: Bell) -> None:
        seen = bell.now("t")
        assert await bell.wait("t", 0.01, since=seen) == seen

    async def test_topics_are_apart(self, bell: Bell) -> None:
        seen = bell.now("t")
        bell.ring("another")
        assert bell.now("t") == seen

    async def test_a_waiter_that_leaves_harms_nobody(self, bell: Bell) -> None:
        seen = bell.now("t")
        gone = asyncio.ensure_future(bell.wait("t", LONG, since=seen))
        stays = asyncio.ensure_future(bell.wait("t", LONG, since=seen))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        bell.ring("t")
        assert await stays != seen
