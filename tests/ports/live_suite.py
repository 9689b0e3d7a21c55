"""What every Live adapter must do. A test class inherits this and brings a `live` fixture."""

import asyncio

from comfyserve.ports import Live, Preview, Progress

ONE, TWO = Progress("3", 1, 20), Progress("3", 2, 20)
PICTURE = Preview(b"jpeg", "image/jpeg", "3")


class LiveSuite:
    """The promises of the port."""

    async def test_the_newest_of_each_kind(self, live: Live) -> None:
        async with live.watch("run") as values:
            for value in (ONE, PICTURE, TWO):
                live.put("run", value)
            assert {await anext(values), await anext(values)} == {TWO, PICTURE}

    async def test_a_reader_waits_for_the_next_value(self, live: Live) -> None:
        async with live.watch("run") as values:
            waiting = asyncio.ensure_future(anext(values))
            await asyncio.sleep(0)
            live.put("run", ONE)
            assert await waiting == ONE

    async def test_who_comes_late_begins_with_the_last_value(self, live: Live) -> None:
        live.put("run", ONE)
        live.put("run", TWO)
        async with live.watch("run") as values:
            assert await anext(values) == TWO

    async def test_readers_do_not_take_from_each_other(self, live: Live) -> None:
        async with live.watch("run") as first, live.watch("run") as second:
            live.put("run", ONE)
            assert await anext(first) == ONE
            assert await anext(second) == ONE

    async def test_runs_are_apart(self, live: Live) -> None:
        async with live.watch("run") as values:
            live.put("another", ONE)
            live.put("run", TWO)
            assert await anext(values) == TWO

    async def test_a_dropped_run_is_forgotten_but_may_be_tried_again(self, live: Live) -> None:
        async with live.watch("run") as early:
            live.put("run", ONE)
            assert await anext(early) == ONE
            live.drop("run")
            async with live.watch("run") as late:
                live.put("run", TWO)
                assert await anext(early) == TWO
                assert await anext(late) == TWO

    async def test_the_last_values_can_be_read_without_waiting(self, live: Live) -> None:
        assert list(live.last("run")) == []
        for value in (ONE, PICTURE, TWO):
            live.put("run", value)
        assert list(live.last("run")) == [PICTURE, TWO]
        live.drop("run")
        assert list(live.last("run")) == []

    async def test_dropping_an_unknown_run_is_nothing(self, live: Live) -> None:
        live.drop("unknown")
