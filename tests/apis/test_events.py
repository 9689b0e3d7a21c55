"""Event streams: order, resumption, live values, keepalive."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from comfyserve.apis.http.answers import iso
from comfyserve.apis.http.events import Slots, message, primed, stream
from comfyserve.core.runs import Fact, FactKind
from comfyserve.ports import Preview, Progress
from tests.apis.world import World, open_world, over_the_wire
from tests.services.bundle import open_bundle

SSE = {"accept": "text/event-stream"}


def blocks(text: str) -> list[dict[str, Any]]:
    """The messages of a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append(fields | {"data": json.loads(fields["data"])})
    return found


async def test_a_finished_run_tells_its_whole_story(world: World) -> None:
    names = await world.names()
    answer = await world.client.get(f"/v1/runs/{names['run']}/events", headers=SSE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = blocks(answer.text)
    kinds = ["submitted", "claimed", "staged", "started", "node_started", "executed", "output", "output", "succeeded"]
    assert [one["event"] for one in told] == [*kinds, "run"]
    assert [one.get("id") for one in told] == [*(str(seq) for seq in range(1, 10)), None]
    assert told[-1]["data"]["status"] == "success"
    assert told[6]["data"]["data"]["url"].startswith("http")


@pytest.mark.parametrize(
    ("headers", "query"),
    [({"last-event-id": "7"}, ""), ({}, "?after=7"), ({"last-event-id": "7"}, "?after=1")],
)
async def test_a_stream_resumes_after_the_last_event(world: World, headers: dict[str, str], query: str) -> None:
    names = await world.names()
    answer = await world.client.get(f"/v1/runs/{names['run']}/events{query}", headers=SSE | headers)
    assert [one["event"] for one in blocks(answer.text)] == ["output", "succeeded", "run"]


async def test_live_values_come_between_the_events(world: World) -> None:
    names = await world.names()
    run_id = names["queued"]
    async with (
        over_the_wire(world.app) as client,
        client.stream("GET", f"/v1/runs/{run_id}/events", headers=SSE) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "id: 1"
        claim = await world.next_claim()
        await world.bundle.record.apply(run_id, claim.lease.token, [Fact(FactKind.STARTED)])
        while await anext(lines) != "event: started":
            pass
        world.bundle.live.put(run_id, Progress("9", 3, 4, 0.75))
        world.bundle.live.put(run_id, Preview(b"\xff\xd8", "image/jpeg", "9"))
        seen: dict[str, Any] = {}
        name = ""
        async for line in lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if line.startswith("data: "):
                seen[name] = json.loads(line.removeprefix("data: "))
            if {"progress", "preview"} <= seen.keys() and "succeeded" not in seen and claim is not None:
                await world.finish(claim)
                claim = None  # type: ignore[assignment]  # finished once
    assert seen["progress"] == {"node_id": "9", "value": 3, "maximum": 4, "fraction": 0.75}
    assert seen["preview"] == {"mime": "image/jpeg", "image": "/9g=", "node_id": "9"}
    assert list(seen)[-1] == "run"


async def test_a_silent_stream_says_that_it_lives(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path)
    async with open_world(bundle, keepalive_seconds=0.02) as world:
        names = await world.names()
        async with (
            over_the_wire(world.app) as client,
            client.stream("GET", f"/v1/runs/{names['queued']}/events", headers=SSE) as answer,
        ):
            assert await _comes(answer.aiter_lines(), ": keepalive")
    await bundle.db.close()


async def _comes(lines: AsyncIterator[str], wanted: str) -> bool:
    async for line in lines:
        if line == wanted:
            return True
    return False


@pytest.mark.parametrize("first", [True, False], ids=["while it waits", "before it began"])
async def test_a_stream_that_is_left_closes_its_source(first: bool) -> None:
    closed, begun = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def send(message: Any) -> None:
        if not first:
            raise OSError("gone")
        if message.get("body"):
            begun.set()

    async def receive() -> Any:
        return await asyncio.Event().wait()

    slots = Slots(1)
    with slots.for_stream() as slot:
        answer = stream(await primed(source()), slot, keepalive=60)
    assert slots.free == 0
    sending = asyncio.ensure_future(answer({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send))
    if first:
        await asyncio.wait_for(begun.wait(), 5)
        sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert closed.is_set()
    assert slots.free == 1


@pytest.mark.parametrize("number", ["9" * 5000, str(2**63), "-1", "x"])
async def test_a_last_event_id_that_is_none_is_refused(world: World, number: str) -> None:
    names = await world.names()
    headers = SSE | {"last-event-id": number}
    await world.json("GET", f"/v1/runs/{names['run']}/events", 422, headers=headers)
    await world.json("GET", f"/v1/runs/{names['run']}/events?after={number}", 422, headers=SSE)


def test_a_message_is_one_line_of_data() -> None:
    assert message("a", {"b": "c\nd"}, seq=3) == b'id: 3\nevent: a\ndata: {"b":"c\\nd"}\n\n'
    assert message("a", None) == b"event: a\ndata: null\n\n"


def test_times_have_three_digits_and_a_z() -> None:
    from datetime import UTC, datetime, timedelta, timezone

    east = timezone(timedelta(hours=2))
    assert iso(datetime(2026, 1, 2, 3, 4, 5, 6999, east)) == "2026-01-02T01:04:05.006Z"
    assert iso(datetime(2026, 1, 2, 3, 4, 5)) == "2026-01-02T03:04:05.000Z"
    assert iso(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000Z"
