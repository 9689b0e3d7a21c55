"""An engine that floods, falls silent, or answers with what makes no sense costs bounded memory and no run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest

from comfyserve.core.errors import EngineError, EngineLost
from comfyserve.engines.client import MAX_ANSWER_BYTES, ComfyClient
from comfyserve.engines.inbox import MAX_WAITING, MAX_WAITING_BYTES
from comfyserve.ports import EngineEvent, NodeFinished, NodeStarted, Outcome, Progress
from tests.engines.conftest import IMPATIENT
from tests.engines.scripted_comfy import FLOOD, ScriptedComfy, graph


async def told(client: ComfyClient, *class_types: str) -> list[EngineEvent]:
    async with asyncio.timeout(20), client.execute("p1", graph(*class_types), {}) as events:
        return [event async for event in events]


@pytest.fixture
async def turns() -> AsyncIterator[list[int]]:
    """Counts how often others had their turn in the event loop."""
    count = [0]

    async def go_round() -> None:
        while True:
            count[0] += 1
            await asyncio.sleep(0)

    going = asyncio.create_task(go_round())
    yield count
    going.cancel()
    with suppress(asyncio.CancelledError):
        await going


@pytest.mark.parametrize("flood", ["FloodProgress", "FloodNodes", "FloodJunk"])
async def test_a_flood_leaves_others_their_turn(client: ComfyClient, flood: str, turns: list[int]) -> None:
    events = await told(client, flood, "Picture")
    assert isinstance(events[-1], Outcome) and events[-1].ending == "success"
    assert turns[0] > FLOOD / 1000


@pytest.mark.parametrize("flood", ["FloodProgress", "FloodNodes", "FloodOutputs"])
async def test_what_a_slow_reader_leaves_is_bounded(client: ComfyClient, comfy: ScriptedComfy, flood: str) -> None:
    async with asyncio.timeout(20), client.execute("p1", graph(flood, "Wait", "Picture"), {}) as events:
        await comfy.waiting.wait()
        comfy.released.set()
        async with client.execute("p2", graph("Picture"), {}) as others:
            assert [event async for event in others]
        seen = [event async for event in events]
    assert isinstance(seen[-1], Outcome) and seen[-1].ending == "success"
    assert len(seen) <= MAX_WAITING + 2
    assert sum(isinstance(event, Progress) for event in seen) <= 1
    assert sum(isinstance(event, NodeFinished) for event in seen) * 25_000_000 <= MAX_WAITING_BYTES + 25_000_000


async def test_a_frame_that_is_too_large_costs_the_socket_and_not_the_run(
    client: ComfyClient, comfy: ScriptedComfy
) -> None:
    events = await told(client, "HugeFrame", "Picture")
    assert isinstance(events[-1], Outcome) and events[-1].ending == "success"
    again = await told(client, "Picture")
    assert NodeStarted("1") in again and comfy.asked["/ws"] == 2


async def test_a_socket_that_answers_no_ping_is_replaced(comfy: ScriptedComfy) -> None:
    comfy.deaf = True
    client = ComfyClient(comfy.url, patience=replace(IMPATIENT, heartbeat=0.1))
    async with asyncio.timeout(10), client.execute("p1", graph("Wait", "Picture"), {}) as events:
        await comfy.waiting.wait()
        [first] = comfy.sockets
        comfy.deaf = False
        while first in comfy.sockets or not comfy.sockets:  # noqa: ASYNC110  (the server announces no connections)
            await asyncio.sleep(0.01)
        comfy.released.set()
        seen = [event async for event in events]
    assert isinstance(seen[-1], Outcome) and seen[-1].ending == "success"
    await client.close()


@pytest.mark.parametrize("answer", [b"<html>busy</html>", b"[]", b'{"p1": 7}', b'{"p1": null}', b"\xff\xfe"])
async def test_an_answer_that_is_no_history_is_asked_for_again(comfy: ScriptedComfy, answer: bytes) -> None:
    comfy.history_answer = answer
    client = ComfyClient(comfy.url, patience=replace(IMPATIENT, lost=10))
    running = asyncio.create_task(told(client, "Picture"))
    for _ in range(2):
        await asyncio.wait_for(comfy.history_asked.wait(), 5)
        comfy.history_asked.clear()
    comfy.history_answer = None
    seen = await running
    assert isinstance(seen[-1], Outcome) and seen[-1].ending == "success"
    await client.close()


async def test_an_engine_that_never_answers_with_a_history_is_lost(client: ComfyClient, comfy: ScriptedComfy) -> None:
    comfy.history_answer = b"<html>busy</html>"
    with pytest.raises(EngineLost, match="what is no history"):
        await told(client, "Picture")


async def test_an_engine_that_takes_a_question_and_stays_silent_is_lost(comfy: ScriptedComfy) -> None:
    comfy.history_open.clear()
    client = ComfyClient(comfy.url, patience=replace(IMPATIENT, answer=0.2, lost=0.3))
    with pytest.raises(EngineLost, match="cannot be reached"):
        await told(client, "Picture")
    comfy.history_open.set()
    await client.close()


async def test_a_record_that_is_too_large_fails_the_run_and_not_the_engine(
    client: ComfyClient, comfy: ScriptedComfy
) -> None:
    comfy.history_answer = b"x" * (MAX_ANSWER_BYTES + 1)
    with pytest.raises(EngineError, match="larger than"):
        await told(client, "Picture")
    comfy.history_answer = None
    assert isinstance((await told(client, "Picture"))[-1], Outcome)
