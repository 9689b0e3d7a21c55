"""What a real ComfyUI sent is read as it was meant."""

import json
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import EngineError, Place
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.engines.client import ComfyClient
from comfyserve.ports import EngineEvent, NodeFinished, NodeStarted, Outcome, Preview, Progress, Started, Warned
from tests.engines.scripted_comfy import RECORDED

RECORDING = Path(__file__).with_name("recorded.json")

PICTURE = NodeOutput("2", "images", 0, EngineFile("ComfyUI_temp_zqkja_00001_.png", "", "temp"))
SAVED = NodeOutput("2", "images", 0, EngineFile("saved_00002_.png", "suite/sub"))
PREVIEW = NodeOutput("3", "images", 0, PICTURE.file)
TEXT = NodeOutput("4", "text", 0, value="seven")
DONE: list[EngineEvent] = [NodeFinished("2", (PICTURE,)), Outcome("success", (PICTURE,))]
FAILURE = {
    "code": "engine_error",
    "message": "Node 2 (ImageBlend) failed: no such mode",
    "place": {"node_id": "2"},
    "details": {"exception_type": "ValueError", "node_type": "ImageBlend"},
}
NODE_ERRORS = RECORDED["half"]["answer"]["node_errors"]
LEFT_OUT = "Node 3 (SaveImage): Required input is missing (images)"
MEANT: dict[str, list[EngineEvent]] = {
    "success": [Started(), NodeStarted("1"), NodeStarted("2"), *DONE],
    "cached": [Started(), *DONE],
    "kinds": [
        Started(),
        NodeStarted("2"),
        NodeFinished("2", (SAVED,)),
        NodeFinished("3", (PREVIEW,)),
        NodeStarted("4"),
        NodeFinished("4", (TEXT,)),
        Outcome("success", (SAVED, TEXT, PREVIEW)),
    ],
    "half": [
        Started(),
        *DONE,
        Warned(f"The engine left out a part of the graph that is not valid. {LEFT_OUT}", {"node_errors": NODE_ERRORS}),
    ],
    "raised": [Started(), NodeStarted("2"), Outcome("error", error=FAILURE)],
    "interrupted": [
        Started(),
        NodeStarted("2"),
        Progress("2", 2, 1000),
        Preview(b"jpeg", "image/jpeg", "2"),
        Outcome("interrupted"),
    ],
}
"""What each exchange means; of progress and previews the last."""


def replayed(name: str) -> dict[str, Any]:
    return {"1": {"class_type": "Recorded", "inputs": {"name": name}}}


@pytest.mark.parametrize("name", MEANT)
async def test_a_recorded_exchange(client: ComfyClient, name: str) -> None:
    async with client.execute("PROMPT", replayed(name), {}) as events:
        told = [event async for event in events]
    last = {type(event): event for event in told if isinstance(event, Progress | Preview)}
    kept = [event for event in told if not isinstance(event, Progress | Preview) or event is last[type(event)]]
    assert in_order(kept) == in_order(MEANT[name])


def in_order(events: list[EngineEvent]) -> list[EngineEvent]:
    """A warning comes with the answer, which may arrive before or after the first messages."""
    return sorted(events, key=lambda event: not isinstance(event, Warned))


async def test_a_recorded_refusal(client: ComfyClient) -> None:
    with pytest.raises(EngineError) as caught:
        async with client.execute("PROMPT", replayed("refused"), {}):
            pass
    assert caught.value.message == (
        "The engine refuses the graph. Node 2 (SaveImage): Required input is missing (images)"
    )
    assert caught.value.place == Place(node_id="2", field="images")
    assert caught.value.details["type"] == "prompt_outputs_failed_validation"


async def test_a_recorded_delete(client: ComfyClient) -> None:
    async with client.execute("PROMPT", replayed("deleted"), {}) as events:
        assert await client.interrupt("PROMPT")
        assert [event async for event in events] == [Outcome("interrupted")]
        assert await client.interrupt("OTHER")
    assert not await client.interrupt("PROMPT")


def test_the_recording_tells_its_version() -> None:
    assert json.loads(RECORDING.read_text())["comfyui"] == "0.3.64"
