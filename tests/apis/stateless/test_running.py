"""Prompts that an engine is at: watched, fetched and stopped over a real worker."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from comfyserve.testing import Hold, ScriptedEngine, Step
from tests.apis.stateless.desk import HOOK
from tests.apis.stateless.working import Solo, picture_graph, solo, solo_on

NODES = {
    "EmptyImage": {"input": {"required": {}}, "output": ["IMAGE"], "output_node": False},
    "SaveImage": {"input": {"required": {}}, "output": [], "output_node": True},
}


class Held:
    """An engine that holds the graphs whose prefix begins with `slow`."""

    def __init__(self) -> None:
        self.hold = Hold()
        self.engine = ScriptedEngine(self._script, object_info=NODES)

    def _script(self, prompt_id: str, graph: Mapping[str, Any]) -> Sequence[Step]:
        return [self.hold] if _prefix(graph).startswith("slow") else []


def _prefix(graph: Mapping[str, Any]) -> str:
    """The name of the files without the folder of the attempt."""
    return str(graph["9"]["inputs"]["filename_prefix"]).partition("/")[2]


async def interrupted(made: Solo, request_id: str) -> tuple[int, Any]:
    """Status and word of an interruption."""
    answer = await made.client.post("/interrupt", json={"id": request_id})
    return answer.status_code, answer.json()["interrupted"]


async def ended(made: Solo, request_id: str) -> dict[str, Any]:
    """The state of a prompt when its events have ended."""
    answer = await made.client.get(f"/prompt/{request_id}/events")
    last = answer.text.strip().split("\n\n")[-1]
    assert last.startswith("event: prompt\n")
    state: dict[str, Any] = json.loads(last.partition("data: ")[2])
    return state


async def test_an_interruption_stops_that_prompt_and_no_other(tmp_path: Path) -> None:
    held = Held()
    async with solo_on(tmp_path, held.engine) as made:
        waiting = asyncio.create_task(made.prompt(picture_graph(), id="slow"))
        await asyncio.wait_for(held.hold.reached.wait(), 20)
        for request_id in ("slow-too", "stays"):
            assert (await made.prompt(picture_graph(), id=request_id, webhook_v2=HOOK)).status_code == 202
        assert await interrupted(made, "slow-too") == (200, "success")
        assert (await ended(made, "slow-too"))["status"] == "interrupted"
        assert (await made.client.get("/prompt/slow")).json()["status"] == "running"

        assert await interrupted(made, "slow") == (200, "success")
        answer: httpx2.Response = await asyncio.wait_for(waiting, 20)
        assert (answer.status_code, answer.json()["message"]) == (500, "Prompt execution interrupted")
        assert (await ended(made, "stays"))["status"] == "completed"
        for request_id in ("slow-too", "slow", "stays"):
            assert await interrupted(made, request_id) == (404, "failed")


async def test_the_result_is_byte_for_byte_the_answer_that_a_caller_lost(tmp_path: Path) -> None:
    async with solo(tmp_path) as made:
        answer = await made.prompt(picture_graph(count=2), id="mine")
        again = await made.client.get("/prompt/mine/result")
        assert (again.status_code, again.content) == (200, answer.content)
        state = await ended(made, "mine")
        assert state["outputs"] == answer.json()["outputs"]
        assert state["stats"] == answer.json()["stats"]
