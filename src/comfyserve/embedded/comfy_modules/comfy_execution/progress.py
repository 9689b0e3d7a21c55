"""Progress by node id."""

from __future__ import annotations

from enum import Enum
from typing import Any

from comfyserve.embedded.comfy_modules.comfy.utils import report
from comfyserve.embedded.comfy_modules.comfy_execution.utils import get_executing_context

PreviewImageTuple = tuple[str, Any, int | None]


class NodeState(Enum):
    """Where a node is."""

    Pending = "pending"
    Running = "running"
    Finished = "finished"
    Error = "error"


class ProgressRegistry:
    """Reports to the engine, which keeps the states."""

    @property
    def prompt_id(self) -> str:
        around = get_executing_context()
        return around.prompt_id if around else ""

    def update_progress(self, node_id: str, value: float, max_value: float, image: Any = None) -> None:
        """Progress of a node, with a preview (format, Pillow image, longest side). Raises Interrupted."""
        report(value, max_value, image, node_id)

    def start_progress(self, node_id: str) -> None:
        """The engine announces starts itself."""

    def finish_progress(self, node_id: str) -> None:
        """The engine announces ends itself."""


_registry = ProgressRegistry()


def get_progress_state() -> ProgressRegistry:
    """The registry of the running prompt."""
    return _registry
