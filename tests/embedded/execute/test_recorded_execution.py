"""The probe graphs give what a real ComfyUI 0.3.64 gave: every event, answer, output and status (spec 8, 9 and 10)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from comfyserve.embedded.files.folders import Folders
from tests.embedded.conftest import serve
from tests.embedded.execute.probe_nodes import NODE_CLASS_MAPPINGS
from tests.embedded.execute.scenarios import SCENARIOS, play

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded_execution.json").read_text())

OLD_IDS = {"renamed", "equal outputs in one graph"}
"""Of a cached output ComfyUI tells the `meta` of the node that once made it; ours tells the node's own."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folders = Folders(tmp_path_factory.mktemp("probe"))
    folders.create()

    async def play_all() -> Any:
        async with serve(folders, nodes=NODE_CLASS_MAPPINGS) as seat:
            return json.loads(json.dumps(await play(seat.url)))

    heard: dict[str, Any] = asyncio.run(play_all())
    return heard


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_comfyui(played: dict[str, Any], name: str) -> None:
    for ours, recorded in zip(played[name], RECORDED[name], strict=True):
        left_out = {"meta"} if name in OLD_IDS else set()
        assert {key: ours[key] for key in ours.keys() - left_out} == {
            key: recorded[key] for key in recorded.keys() - left_out
        }
