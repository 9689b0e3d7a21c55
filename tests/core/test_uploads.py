"""The newest upload to a place takes over, and begins when no older one writes any more."""

import asyncio

import pytest

from comfyserve.core.uploads import Uploads


class Upload:
    """One that goes on until it is stopped, and then until its end is let come."""

    def __init__(self, name: str, story: list[str]) -> None:
        self.name = name
        self.story = story
        self.begun, self.unwinding, self.let_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self) -> str:
        self.story.append(f"begin {self.name}")
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.unwinding.set()
            await self.let_end.wait()
            self.story.append(f"end {self.name}")
        raise AssertionError("it was let go")


async def quick() -> str:
    """One that is over at once."""
    return "done"


async def turns() -> None:
    """Let everybody go on who can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_of_three_the_last_begins_when_the_first_has_unwound() -> None:
    uploads, story = Uploads(), list[str]()
    first = Upload("first", story)
    one = asyncio.create_task(uploads.run("place", first))
    await asyncio.wait_for(first.begun.wait(), 5)
    two = asyncio.create_task(uploads.run("place", Upload("second", story)))
    await asyncio.wait_for(first.unwinding.wait(), 5)

    async def third() -> str:
        story.append("begin third")
        return "third"

    three = asyncio.create_task(uploads.run("place", third))
    await turns()
    assert story == ["begin first"] and two.done()
    first.let_end.set()
    assert await asyncio.wait_for(three, 5) == "third"
    assert (await one, await two) == (None, None)
    assert story == ["begin first", "end first", "begin third"]


async def test_three_that_come_in_one_turn_wait_as_well() -> None:
    uploads, story = Uploads(), list[str]()
    first, second = Upload("first", story), Upload("second", story)
    one = asyncio.create_task(uploads.run("place", first))
    await asyncio.wait_for(first.begun.wait(), 5)
    later = [asyncio.create_task(uploads.run("place", work)) for work in (second, quick)]
    await turns()
    assert story == ["begin first"] and not later[1].done()
    first.let_end.set()
    assert await asyncio.wait_for(asyncio.gather(one, *later), 5) == [None, None, "done"]
    assert story == ["begin first", "end first"]


async def test_one_whose_caller_stops_is_waited_for_too() -> None:
    uploads, story = Uploads(), list[str]()
    first = Upload("first", story)
    one = asyncio.create_task(uploads.run("place", first))
    await asyncio.wait_for(first.begun.wait(), 5)
    one.cancel()
    await asyncio.wait_for(first.unwinding.wait(), 5)
    two = asyncio.create_task(uploads.run("place", quick))
    await turns()
    assert not two.done()
    first.let_end.set()
    assert await asyncio.wait_for(two, 5) == "done"
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_other_places_and_what_is_over_delay_nobody() -> None:
    uploads, story = Uploads(), list[str]()
    first = Upload("first", story)
    one = asyncio.create_task(uploads.run("place", first))
    await asyncio.wait_for(first.begun.wait(), 5)
    for _ in range(2):
        assert await asyncio.wait_for(uploads.run("elsewhere", quick), 5) == "done"
    first.let_end.set()
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_what_the_work_raises_is_raised() -> None:
    async def broken() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Uploads().run("place", broken)
