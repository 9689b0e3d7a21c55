"""Runs whose files take long keep no other from the engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import FetchFailed
from comfyserve.core.runs import Status
from comfyserve.ports import Fetched, NodeFinished, Started
from comfyserve.testing import ScriptedEngine
from comfyserve.work.limits import WorkLimits
from comfyserve.work.places import Place, Places
from tests.services.bundle import PNG
from tests.work.shop import NODES, QUICK, SECONDS, NoFetch, shop, text_graph

AT_ONCE = WorkLimits(ahead=0, stage_grace=0)


class SlowFetch(NoFetch):
    """A Fetch whose servers answer with a picture when they are told to, or break off."""

    def __init__(self, picture: Path) -> None:
        picture.write_bytes(PNG)
        self._picture = picture
        self._answers: dict[str, asyncio.Future[bool]] = {}

    def answer(self, url: str) -> asyncio.Future[bool]:
        """What this server will do: answer, or not."""
        return self._answers.setdefault(url, asyncio.get_running_loop().create_future())

    @asynccontextmanager
    async def fetch(self, url: str, **wishes: Any) -> AsyncIterator[Fetched]:
        """Wait for the server."""
        if not await asyncio.shield(self.answer(url)):
            raise FetchFailed("The host broke off.")
        yield Fetched(self._picture, len(PNG), "image/png", "", "")


def picture_graph(name: str) -> Mapping[str, Any]:
    """A graph whose picture lies at a server of this name."""
    return {"1": {"class_type": "LoadImage", "inputs": {"image": url_of(name)}}}


def url_of(name: str) -> str:
    return f"https://{name}.example.com/cap.png"


def quiet_engine() -> ScriptedEngine:
    return ScriptedEngine([Started(), NodeFinished("1", ())], object_info=NODES)


@pytest.mark.parametrize("ahead", [0, 1])
async def test_inputs_that_hang_stop_nobody_else(tmp_path: Path, ahead: int) -> None:
    scripted, fetch = quiet_engine(), SlowFetch(tmp_path / "cap.png")
    limits = replace(QUICK, ahead=ahead, stage_grace=0.02)
    async with shop(tmp_path, scripted, fetch=fetch, limits=limits) as place:
        slow = [(await place.bundle.run(picture_graph(name))).id for name in ("one", "two", "three")]
        quick = await place.bundle.run(text_graph("quick"))
        assert (await place.ended(quick.id)).status is Status.SUCCESS
        assert len(scripted.submitted) == 1
        fetch.answer(url_of("two")).set_result(True)
        assert (await place.ended(slow[1])).status is Status.SUCCESS
        fetch.answer(url_of("three")).set_result(False)
        assert (await place.ended(slow[2])).status is Status.FAILED
        await place.bundle.cancel.cancel(place.bundle.caller, slow[0])
        assert (await place.ended(slow[0])).status is Status.CANCELLED
        assert len(scripted.submitted) == 2


async def test_a_run_that_was_aside_is_not_kept_waiting_by_a_worker_that_waits_for_runs(tmp_path: Path) -> None:
    fetch = SlowFetch(tmp_path / "cap.png")
    limits = replace(QUICK, ahead=0, stage_grace=0, poll=10 * SECONDS)
    async with shop(tmp_path, quiet_engine(), fetch=fetch, limits=limits) as place:
        slow = (await place.bundle.run(picture_graph("one"))).id
        await place.ended((await place.bundle.run(text_graph("quick"))).id)
        fetch.answer(url_of("one")).set_result(True)
        assert (await place.ended(slow)).status is Status.SUCCESS


async def _aside(place: Place, until: asyncio.Event) -> asyncio.Task[bool]:
    """A run that is made ready until the event is set."""
    return asyncio.create_task(place.make_ready(until.wait()))


async def test_a_run_aside_tells_so_and_waits_for_a_place() -> None:
    places, staged, told = Places(AT_ONCE, lambda: None), asyncio.Event(), asyncio.Event()
    first = await places.take()
    staging = asyncio.create_task(first.make_ready(staged.wait(), told.set))
    await asyncio.wait_for(told.wait(), SECONDS)
    second = await asyncio.wait_for(places.take(), SECONDS)
    assert first.aside
    staged.set()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(staging), 0.05)
    second.give_back()
    assert await asyncio.wait_for(staging, SECONDS)
    assert not first.aside
    first.give_back()
    (await asyncio.wait_for(places.take(), SECONDS)).give_back()


async def test_what_is_made_ready_first_has_the_place_first() -> None:
    asked: asyncio.Queue[None] = asyncio.Queue()
    places = Places(AT_ONCE, lambda: asked.put_nowait(None))
    events = [asyncio.Event(), asyncio.Event()]
    runs = []
    for event in events:
        runs.append(await _aside(await asyncio.wait_for(places.take(), SECONDS), event))
    executing = await asyncio.wait_for(places.take(), SECONDS)
    for event in reversed(events):
        event.set()
        await asyncio.wait_for(asked.get(), SECONDS)
    executing.give_back()
    assert await asyncio.wait_for(runs[1], SECONDS)
    assert not runs[0].done()


async def test_a_place_that_is_left_in_the_middle_is_free_again() -> None:
    places = Places(AT_ONCE, lambda: None)
    for _ in range(3):
        place = await asyncio.wait_for(places.take(), SECONDS)
        staging = await _aside(place, asyncio.Event())
        (await asyncio.wait_for(places.take(), SECONDS)).give_back()
        staging.cancel()
        await asyncio.wait({staging})
        assert place.aside
        place.give_back()
