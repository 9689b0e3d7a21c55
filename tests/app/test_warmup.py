"""Runs that warm an engine: as many as are wanted, before all others, and nothing stays of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyserve.app.warmup import ORIGIN, WarmUp, forget_warm_ups
from comfyserve.core.errors import NotFound
from comfyserve.ports import Claim, machine_topic
from comfyserve.services.records import SubmitRequest
from tests.services.bundle import LIMITS, TEXT_GRAPH, Bundle, open_bundle


@pytest.fixture
async def bundle(tmp_path: Path) -> AsyncIterator[Bundle]:
    """With room for two runs that wait."""
    opened = await open_bundle(tmp_path, limits=replace(LIMITS, max_queued=2))
    yield opened
    await opened.db.close()


def warm_up(bundle: Bundle, graph: Any = TEXT_GRAPH) -> WarmUp:
    return WarmUp(graph, bundle.caller, submit=bundle.submit, watch=bundle.watch, sweep=bundle.sweep)


async def claimed(bundle: Bundle) -> Claim:
    """The next run, once it waits."""
    topic = machine_topic(bundle.machine_id)
    async with asyncio.timeout(10):
        while True:
            seen = bundle.bell.now(topic)
            if (claim := await bundle.record.claim(bundle.machine_id, "host/1")) is not None:
                return claim
            await bundle.bell.wait(topic, 10, since=seen)


async def runs_left(bundle: Bundle) -> int:
    return len((await bundle.runs.list(bundle.caller)).items)


async def test_each_start_is_warmed_and_nothing_is_left(bundle: Bundle) -> None:
    warming = asyncio.create_task(warm_up(bundle).run(2))
    for _ in range(2):
        claim = await claimed(bundle)
        await bundle.finish(claim)
    assert await asyncio.wait_for(warming, 10) == ""
    assert await runs_left(bundle) == 0


async def test_a_full_queue_warms_by_itself_and_what_was_queued_is_not_left(bundle: Bundle) -> None:
    waits = await bundle.run()
    topic = machine_topic(bundle.machine_id)
    seen = bundle.bell.now(topic)
    warming = asyncio.create_task(warm_up(bundle).run(3))
    await bundle.bell.wait(topic, 10, since=seen)
    first = await claimed(bundle)
    assert first.run.id != waits.id, "the warm-up comes before what waits"
    await bundle.finish(first)
    assert await asyncio.wait_for(warming, 10) == ""
    assert await runs_left(bundle) == 1


async def test_what_cannot_be_queued_is_told(bundle: Bundle) -> None:
    assert "1" in await warm_up(bundle, {"1": {"inputs": {}}}).run()


async def test_what_a_killed_solo_left_is_taken_away(bundle: Bundle) -> None:
    mine = await bundle.run()
    left = await bundle.submit.submit(
        bundle.caller, SubmitRequest(graph=TEXT_GRAPH, dialect="stateless", origin=ORIGIN)
    )
    assert await forget_warm_ups(bundle.db, bundle.caller, bundle.cancel, bundle.sweep) == 1
    with pytest.raises(NotFound):
        await bundle.runs.get(bundle.caller, left.id)
    assert (await bundle.runs.get(bundle.caller, mine.id)).status == "queued"
    assert await forget_warm_ups(bundle.db, bundle.caller, bundle.cancel, bundle.sweep) == 0
