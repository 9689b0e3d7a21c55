"""System events: what an engine says is handed on as it was said, and costs nothing where nobody listens."""

import json
from collections.abc import AsyncIterator

import pytest

from comfyserve.engines.client import ComfyClient
from comfyserve.engines.tap import TAPPED, hand_on
from comfyserve.ports import SystemEvent
from tests.engines.conftest import IMPATIENT
from tests.engines.scripted_comfy import JUNK, ScriptedComfy, graph


class Heard(list[SystemEvent]):
    """What was told, by name."""

    @property
    def names(self) -> list[str]:
        return [event.name for event in self]


@pytest.fixture
async def tapped(comfy: ScriptedComfy) -> AsyncIterator[tuple[ComfyClient, Heard]]:
    heard = Heard()
    client = ComfyClient(comfy.url, patience=IMPATIENT, tell=heard.append)
    yield client, heard
    await client.close()


async def test_every_message_of_a_run_is_handed_on_whole(tapped: tuple[ComfyClient, Heard]) -> None:
    client, heard = tapped
    async with client.execute("p1", graph("Say"), {}) as events:
        _ = [event async for event in events]
    assert {"executing", "executed"} <= set(heard.names)
    for event in heard:
        assert (event.label, event.data["type"]) == ("comfy", event.name)
        assert event.name == "status" or event.data["data"]["prompt_id"] == "p1"


async def test_junk_does_no_harm(tapped: tuple[ComfyClient, Heard]) -> None:
    client, heard = tapped
    async with client.execute("p1", graph("Junk", "Say"), {}) as events:
        _ = [event async for event in events]
    assert SystemEvent("comfy", "executing", {"type": "executing", "data": None}) in heard


@pytest.mark.parametrize("frame", [*JUNK, '{"type": ["executing"]}', '{"type": "crystools.monitor", "data": {}}', "{}"])
def test_only_the_listed_types_are_handed_on(frame: str) -> None:
    heard = Heard()
    hand_on(frame, heard.append)
    assert set(heard.names) <= TAPPED
    for event in heard:
        assert event.data["type"] == event.name


def test_each_listed_type_is_handed_on() -> None:
    heard = Heard()
    for name in (*sorted(TAPPED), "logs", "feature_flags", "notification"):
        hand_on(json.dumps({"type": name, "data": {"x": 1}, "sid": "s"}), heard.append)
    assert heard.names == sorted(TAPPED) and len(TAPPED) == 10
    assert heard[0].data["sid"] == "s"
