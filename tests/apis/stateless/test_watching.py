"""The events of a prompt, as a stream that can be resumed."""

import json
from typing import Any

import pytest

from comfyserve.core.runs import Fact, FactKind
from comfyserve.ports import Downloading, Preview, Progress
from tests.apis.stateless.desk import Desk
from tests.apis.test_events import blocks
from tests.apis.world import over_the_wire

KINDS = ["submitted", "claimed", "staged", "started", "node_started", "executed", "output", "output", "succeeded"]


async def test_a_prompt_tells_its_whole_story(desk: Desk) -> None:
    await desk.done("a/b")
    answer = await desk.client.get("/prompt/a/b/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = blocks(answer.text)
    assert [one["event"] for one in told] == [*KINDS, "prompt"]
    assert told[-1]["data"]["status"] == "completed"
    assert told[-1]["data"] == await desk.json("GET", "/prompt/a/b")


@pytest.mark.parametrize(("headers", "query"), [({"last-event-id": "7"}, ""), ({}, "?after=7")])
async def test_a_stream_is_resumed(desk: Desk, headers: dict[str, str], query: str) -> None:
    await desk.done("mine")
    answer = await desk.client.get(f"/prompt/mine/events{query}", headers=headers)
    assert [one["event"] for one in blocks(answer.text)] == ["output", "succeeded", "prompt"]


async def test_a_last_event_id_that_is_none_is_refused(desk: Desk) -> None:
    await desk.done("mine")
    told = await desk.json("GET", "/prompt/mine/events", 400, headers={"last-event-id": "x"})
    assert "Last-Event-ID" in told["message"]


async def test_progress_previews_and_downloads_come_between_the_events(desk: Desk) -> None:
    await desk.send("mine")
    seen: dict[str, Any] = {}
    async with over_the_wire(desk.app) as client, client.stream("GET", "/prompt/mine/events") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "id: 1"
        claim = await desk.next_claim()
        run_id = claim.run.id
        await desk.bundle.record.apply(run_id, claim.lease.token, [Fact(FactKind.STARTED)])
        while await anext(lines) != "event: started":
            pass
        for value in (Progress("9", 3, 4, 0.75), Preview(b"\xff\xd8", "image/jpeg", "9"), Downloading("m", "n", 1, 2)):
            desk.bundle.live.put(run_id, value)
        finished, name = False, ""
        async for line in lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if line.startswith("data: "):
                seen[name] = json.loads(line.removeprefix("data: "))
            if not finished and {"progress", "preview", "download"} <= seen.keys():
                finished = bool(await desk.finish(claim))
    assert seen["progress"]["fraction"] == 0.75
    assert seen["preview"]["image"] == "/9g="
    assert seen["download"]["received"] == 1
    assert list(seen)[-1] == "prompt"
