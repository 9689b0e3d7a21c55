"""What a node may ask of the engine while it runs: its folders, its identity, progress and interruption."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from comfyserve.embedded.faults.playing import Faults
from comfyserve.embedded.faults.table import Kind

if TYPE_CHECKING:
    from PIL.Image import Image

    from comfyserve.embedded.files.folders import Folders


class Interrupted(Exception):
    """The prompt was interrupted: let it pass, the executor records it."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What nodes need to know of the engine's settings."""

    step_ms: int = 15
    load_ms: int = 0
    preview_size: int = 512
    disable_metadata: bool = False
    picture_bytes: int = 2 * 2**30
    """What the float32 samples of one picture or batch may take: 16384 x 8192 in RGB still fits."""
    media_bytes: int = 4 * 2**30
    """What the decoded frames or the sound of one file may take; more is refused before it is read."""
    text_bytes: int = 64 * 2**20
    """What one text that a node makes may take, 4 bytes a character."""
    media_folders: tuple[Path, ...] = ()
    """Where nodes that take a path may read besides the engine's own folders."""


class Reporter(Protocol):
    """Where progress and texts of a running node go (the executor)."""

    def progress(self, node_id: str, value: float, maximum: float, preview: Image | None) -> None: ...

    def text(self, node_id: str, text: str) -> None: ...


class _Silent:
    """A reporter for node functions that are called outside of a prompt."""

    def progress(self, node_id: str, value: float, maximum: float, preview: Image | None) -> None:
        """Nobody listens."""

    def text(self, node_id: str, text: str) -> None:
        """Nobody listens."""


@dataclass(frozen=True, slots=True)
class NodeContext:
    """The surroundings of one node call; `activate(context)` makes it `current()`."""

    folders: Folders
    prompt_id: str = ""
    node_id: str = ""
    settings: EngineSettings = EngineSettings()
    reporter: Reporter = field(default_factory=_Silent)
    interrupt: threading.Event = field(default_factory=threading.Event)
    faults: Faults = field(default_factory=Faults)
    index: int = 0
    """Which call of the node this is: nodes run once per item of a list."""

    def progress(self, value: float, maximum: float, preview: Image | None = None) -> None:
        """Report value of maximum, with a preview picture if there is one; raises Interrupted."""
        self.check_interrupted()
        self.faults.step(value)
        self.reporter.progress(self.node_id, value, maximum, preview)

    def text(self, text: str) -> None:
        """Show a text on the node (binary frame TEXT of spec 8)."""
        self.reporter.text(self.node_id, text)

    def wait(self, seconds: float) -> None:
        """Let time pass; raises Interrupted as soon as the prompt is."""
        self.interrupt.wait(seconds)
        self.check_interrupted()

    def loading(self) -> None:
        """A model file is read: takes what the setting load_ms says, and what a fault adds."""
        self.wait(self.settings.load_ms / 1000 + self.faults.seconds(Kind.SLOW_LOAD))

    def check_interrupted(self) -> None:
        """Raises Interrupted when the prompt was interrupted."""
        if self.interrupt.is_set():
            raise Interrupted


_current: ContextVar[NodeContext] = ContextVar("comfyserve_node_context")


def current() -> NodeContext:
    """The context of the node call in progress; LookupError outside of one."""
    return _current.get()


def activate(context: NodeContext) -> None:
    """Make context the `current()` one of this task or thread (the executor does so; tests may)."""
    _current.set(context)
