"""The events of one running prompt: who hears them, in what order, and what the history keeps (spec 8 and 10)."""

from __future__ import annotations

import io
import itertools
import math
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from comfyserve.embedded.events.sockets import Hub, Message
from comfyserve.embedded.graph.dynamic_prompt import DynamicPrompt
from comfyserve.embedded.graph.foreign import text_of
from comfyserve.embedded.graph.run_errors import DependencyCycleError, full_type_name
from comfyserve.embedded.prompts.queue import QueuedPrompt
from comfyserve.protocol.messages import Event, NodeState, preview_frame, preview_metadata_frame, text_frame

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW_QUALITY = 95
LARGE_PROMPT = 100
LARGE_PROMPT_SECONDS = 0.1
LARGE_PROMPT_SHARE = 20
"""progress_state repeats every node: from this many nodes on it is sent only so often, and takes a 20th of the time."""
BLOCKED_TOLD = 1000
"""How many blocked calls of one prompt are told, each with so many of the executed nodes."""
MAX_SAFE_INTEGER = 2**63


class Announcer:
    """Speaks for one prompt. Used by the worker thread only; also the Reporter of its nodes."""

    def __init__(self, hub: Hub, prompt: QueuedPrompt, nodes: DynamicPrompt, preview_size: int) -> None:
        self._hub = hub
        self._nodes = nodes
        self._prompt_id = prompt.prompt_id
        self._client_id = prompt.client_id
        self._preview_size = preview_size
        self._progress: dict[str, dict[str, Any]] = {}
        self._next_state = 0.0
        self._blocked = 0
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.last_node: str | None = None

    def started(self) -> None:
        self._record(Event.EXECUTION_START, {"prompt_id": self._prompt_id})

    def cached(self, nodes: list[str]) -> None:
        self._record(Event.EXECUTION_CACHED, {"nodes": nodes, "prompt_id": self._prompt_id})

    def node_started(self, node_id: str) -> None:
        display = self._nodes.get_display_node_id(node_id)
        self._set_state(node_id, 0.0, 1.0, NodeState.RUNNING)
        self.last_node = display
        self._tell(Event.EXECUTING, {"node": node_id, "display_node": display, "prompt_id": self._prompt_id})

    def node_output(self, node_id: str, ui: Mapping[str, Any] | None) -> None:
        display = self._nodes.get_display_node_id(node_id)
        data = {"node": node_id, "display_node": display, "output": ui, "prompt_id": self._prompt_id}
        self._tell(Event.EXECUTED, data)

    def node_finished(self, node_id: str) -> None:
        maximum = self._progress.get(node_id, {}).get("max", 1.0)
        self._set_state(node_id, maximum, maximum, NodeState.FINISHED)

    def succeeded(self) -> None:
        if len(self._progress) > LARGE_PROMPT:
            self._send_state(droppable=False)
        self._record(Event.EXECUTION_SUCCESS, {"prompt_id": self._prompt_id})

    def interrupted(self, node_id: str, executed: Iterable[str]) -> None:
        self._record(Event.EXECUTION_INTERRUPTED, self._ended_at(node_id, executed), everybody=True)

    def failed(
        self, node_id: str, error: BaseException, inputs: Mapping[str, list[Any]], executed: Iterable[str]
    ) -> None:
        """A node has raised; inside an expansion the node of the given graph is named."""
        shown = {name: [_shown(value) for value in values] for name, values in inputs.items()}
        said = f"{text_of(error)}\n"
        lines = traceback.format_tb(error.__traceback__)
        told = self._error(said, full_type_name(type(error)), lines, shown, self._known())
        self._record(Event.EXECUTION_ERROR, self._ended_at(node_id, executed) | told)

    def found_cycle(self, node_id: str, executed: Iterable[str]) -> None:
        """Nodes that expansions added wait for each other."""
        error = self._error("Dependency cycle detected", full_type_name(DependencyCycleError), [], [], self._known())
        self._record(Event.EXECUTION_ERROR, self._ended_at(node_id, executed) | error)

    def blocked(self, node_id: str, message: Any, executed: Iterable[str]) -> None:
        """A blocker with a message kept a call from being made. The history does not learn of it."""
        self._blocked += 1
        if self._blocked > BLOCKED_TOLD:
            return
        data = {
            "prompt_id": self._prompt_id,
            "node_id": node_id,
            "node_type": self._nodes.get_node(node_id)["class_type"],
            "executed": list(itertools.islice(executed, BLOCKED_TOLD)),
            **self._error(f"Execution Blocked: {text_of(message)}", "ExecutionBlocked", [], [], []),
        }
        self._hub.send(Event.EXECUTION_ERROR, data, self._client_id)

    def ended(self) -> None:
        """After the history has the record: the only reliable end marker."""
        self.last_node = None
        self._tell(Event.EXECUTING, {"node": None, "prompt_id": self._prompt_id})

    def progress(self, node_id: str, value: float, maximum: float, preview: Image | None) -> None:
        """Reporter: state, preview with metadata, progress, plain preview, in ComfyUI's order."""
        to = self._client_id
        if not self._hub.listens(to):
            return
        self._set_state(node_id, value, maximum, NodeState.RUNNING)
        image = None if preview is None else _encode(preview, self._preview_size)
        if image is not None:
            frame = preview_metadata_frame(image, self._about(node_id) | {"image_type": "image/jpeg"})
            self._hub.post(Message(frame, to, droppable=True, metadata=True))
        data = {"value": value, "max": maximum, "prompt_id": self._prompt_id, "node": node_id}
        self._hub.send(Event.PROGRESS, data, to, droppable=True)
        if image is not None:
            self._hub.post(Message(preview_frame(image), to, droppable=True, metadata=False))

    def text(self, node_id: str, text: str) -> None:
        """Reporter: ComfyUI sends these to all sockets."""
        self._hub.post(Message(text_frame(node_id, text), droppable=True))

    def _about(self, node_id: str) -> dict[str, Any]:
        return {
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": self._nodes.get_display_node_id(node_id),
            "parent_node_id": self._nodes.get_parent_node_id(node_id),
            "real_node_id": self._nodes.get_real_node_id(node_id),
        }

    def _ended_at(self, node_id: str, executed: Iterable[str]) -> dict[str, Any]:
        real = self._nodes.get_real_node_id(node_id)
        # A node may say that one shows it which the graph does not have.
        node_type = self._nodes.get_node(real)["class_type"] if self._nodes.has_node(real) else ""
        return {
            "prompt_id": self._prompt_id,
            "node_id": real,
            "node_type": node_type,
            "executed": list(executed),
        }

    def _error(self, message: str, kind: str, lines: list[str], inputs: Any, known: list[str]) -> dict[str, Any]:
        return {
            "exception_message": message,
            "exception_type": kind,
            "traceback": lines,
            "current_inputs": inputs,
            "current_outputs": known,
        }

    def _known(self) -> list[str]:
        """ComfyUI names every node of the given graph here, whether it ran or not."""
        return list(self._nodes.original_prompt)

    def _set_state(self, node_id: str, value: float, maximum: float, state: NodeState) -> None:
        self._progress[node_id] = {"value": value, "max": maximum, "state": state, **self._about(node_id)}
        if len(self._progress) <= LARGE_PROMPT or time.monotonic() >= self._next_state:
            self._send_state(droppable=True)

    def _send_state(self, *, droppable: bool) -> None:
        begun = time.monotonic()
        data = {"prompt_id": self._prompt_id, "nodes": self._progress}
        self._hub.send(Event.PROGRESS_STATE, data, self._client_id, droppable=droppable)
        ended = time.monotonic()
        self._next_state = ended + max(LARGE_PROMPT_SECONDS, LARGE_PROMPT_SHARE * (ended - begun))

    def _record(self, event: Event, data: dict[str, Any], *, everybody: bool = False) -> None:
        data["timestamp"] = int(time.time() * 1000)
        self.messages.append((event, data))
        if everybody and self._client_id is None:
            self._hub.send(event, data)
        self._tell(event, data)

    def _tell(self, event: Event, data: dict[str, Any]) -> None:
        """To the prompt's own client; nobody hears it when the prompt has none."""
        if self._client_id is not None:
            self._hub.send(event, data, self._client_id)


def _encode(preview: Image, size: int) -> bytes:
    from PIL import Image as Pillow

    picture = preview.convert("RGB") if preview.mode != "RGB" else preview
    if max(picture.size) > size:
        picture = picture.copy()
        picture.thumbnail((size, size), Pillow.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=PREVIEW_QUALITY)
    return buffer.getvalue()


def _shown(value: Any) -> Any:
    """Scalars as they are, unless JSON has no form for them; all else as text."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < MAX_SAFE_INTEGER):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return text_of(value)
