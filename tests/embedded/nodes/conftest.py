"""An engine's surroundings for nodes that are called directly."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from comfyserve.embedded.context import NodeContext, activate
from comfyserve.embedded.files.folders import Folders


@dataclass
class Heard:
    """A reporter that keeps what nodes say."""

    texts: list[str] = field(default_factory=list)

    def progress(self, node_id: str, value: float, maximum: float, preview: object) -> None:
        raise AssertionError("these nodes report no progress")

    def text(self, node_id: str, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def context(tmp_path: Path, heard: Heard) -> NodeContext:
    """Empty folders, and a node "7" that is running in them."""
    folders = Folders(tmp_path)
    folders.create()
    running = NodeContext(folders, prompt_id="p", node_id="7", reporter=heard)
    activate(running)
    return running
