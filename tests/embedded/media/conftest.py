"""An engine's surroundings for nodes that are called directly, with room for what they report."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from comfyserve.embedded.context import EngineSettings, NodeContext, activate
from comfyserve.embedded.files.folders import Folders


@dataclass
class Heard:
    """A reporter that keeps progress, and interrupts the prompt when it hears `stop_at`."""

    interrupt: threading.Event
    progressed: list[tuple[float, float]] = field(default_factory=list)
    stop_at: float | None = None

    def progress(self, node_id: str, value: float, maximum: float, preview: object) -> None:
        self.progressed.append((value, maximum))
        if value == self.stop_at:
            self.interrupt.set()

    def text(self, node_id: str, text: str) -> None:
        """Not asked for here."""


@pytest.fixture
def heard() -> Heard:
    return Heard(threading.Event())


@pytest.fixture
def context(tmp_path: Path, heard: Heard) -> NodeContext:
    """Empty folders, and a node "7" that is running in them."""
    folders = Folders(tmp_path / "engine")
    folders.create()
    running = NodeContext(folders, prompt_id="p", node_id="7", reporter=heard, interrupt=heard.interrupt)
    activate(running)
    return running


def with_settings(context: NodeContext, settings: EngineSettings) -> NodeContext:
    """The same surroundings with other settings, made the current ones."""
    changed = replace(context, settings=settings)
    activate(changed)
    return changed
