"""What a real ComfyUI sent is read as it was meant."""

from typing import Any

import pytest

from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.engines.client import ComfyClient
from comfyserve.ports import EngineEvent, NodeFinished, NodeStarted, Outcome, Preview, Progress, Started

PICTURE = NodeOutput("2", "images", 0, EngineFile("ComfyUI_temp_ocyfc_00001_.png", "", "temp"))
DONE: list[EngineEvent] = [NodeFinished("2", (PICTURE,)), Outcome("success", (PICTURE,))]
FAILURE = {
    "code": "engine_error",
    "message": "Node 2 (ImageBlend) failed: no such mode",
    "place": {"node_id": "2"},
    "details": {"exception_type": "ValueError", "node_type": "ImageBlend"},
}
MEANT: dict[str, list[EngineEvent]] = {
    "success": [Started(), NodeStarted("1"), NodeStarted("2"), *DONE],
    "cached": [Started(), *DONE],
    "raised": [Started(), NodeStarted("2"), Outcome("error", error=FAILURE)],
    "interrupted": [
        Started(),
        NodeStarted("1"),
        Preview(b"jpeg", "image/jpeg", "1"),
        Progress("1", 2, 1000),
        Outcome("interrupted"),
    ],
}


@pytest.mark.parametrize("name", MEANT)
async def test_a_recorded_exchange(client: ComfyClient, name: str) -> None:
    graph: dict[str, Any] = {"1": {"class_type": "Recorded", "inputs": {"name": name}}}
    async with client.execute("PROMPT", graph, {}) as events:
        told = [event async for event in events]
    last = {type(event): event for event in told if isinstance(event, Progress | Preview)}
    assert [event for event in told if not isinstance(event, Progress | Preview) or event is last[type(event)]] == (
        MEANT[name]
    )
