"""An engine with all built-in nodes and the well-known model names."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from comfyserve.embedded.context import EngineSettings, NodeContext, activate
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.simulate.model_files import well_known
from tests.embedded.conftest import Seat, serve


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path, well_known())
    made.create()
    return made


@pytest.fixture
async def engine(folders: Folders) -> AsyncIterator[Seat]:
    catalogue = load_catalogue(folders)
    async with serve(folders, nodes={name: catalogue[name].node_class for name in catalogue}) as seat:
        yield seat


@dataclass
class Heard:
    """A reporter that keeps the progress of the running node."""

    steps: list[tuple[float, float, bool]] = field(default_factory=list)

    def progress(self, node_id: str, value: float, maximum: float, preview: object) -> None:
        self.steps.append((value, maximum, preview is not None))

    def text(self, node_id: str, text: str) -> None:
        raise AssertionError("model nodes say nothing")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def context(folders: Folders, heard: Heard) -> NodeContext:
    """A node that is running, at no cost per step."""
    running = NodeContext(folders, prompt_id="p", node_id="7", reporter=heard, settings=EngineSettings(step_ms=0))
    activate(running)
    return running
