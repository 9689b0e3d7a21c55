"""The events of one running prompt: who hears them, in what order, and what the history keeps (spec 8 and 10)."""

from __future__ import annotations

import io
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from comfyserve.embedded.queue import QueuedPrompt
from comfyserve.embedded.sockets import Hub, Message
from comfyserve.embedded.validate import type_name
from comfyserve.protocol.messages import Event, NodeState, preview_frame, preview_metadata_frame, text_frame

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW_QUALITY = 95
LARGE_PROMPT = 100
LARGE_PROMPT_SECONDS = 0.1
"""progress_state repeats every node: from this many nodes on it is sent only this often."""
SHOWN_CHARACTERS = 10_000
"""How much of a text, or of another value's str(), an execution_error shows."""


class Announcer:
    """Speaks for one prompt. Used by the worker thread only; also the Reporter of its nodes."""

    def __init__(self, hub: Hub, prompt: QueuedPrompt, preview_size: int) -> None:
        self._hub = hub
        self._prompt_id = prompt.prompt_id
        self._client_id = prompt.client_id
        self._preview_size = preview_size
        self._progress: dict[str, dict[str, Any]] = {}
        self._state_sent = 0.0
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.last_node: str | None = None

    def started(self) -> None:
        self._record(Event.EXECUTION_START, {"prompt_id": self._prompt_id})

    def cached(self, nodes: list[str]) -> None:
        self._record(Event.EXECUTION_CACHED, {"nodes": nodes, "prompt_id": self._prompt_id})

    def node_started(self, node_id: str) -> None:
        self.last_node = node_id
        self._set_state(node_id, 0.0, 1.0, NodeState.RUNNING)
        self._tell(Event.EXECUTING, {"node": node_id, "display_node": node_id, "prompt_id": self._prompt_id})

    def node_output(self, node_id: str, ui: Mapping[str, Any] | None) -> None:
        self._tell(
            Event.EXECUTED, {"node": node_id, "display_node": node_id, "output": ui, "prompt_id": self._prompt_id}
        )

    def node_finished(self, node_id: str) -> None:
        maximum = self._progress.get(node_id, {}).get("max", 1.0)
        self._set_state(node_id, maximum, maximum, NodeState.FINISHED)

    def succeeded(self) -> None:
        if len(self._progress) > LARGE_PROMPT:
            self._send_state(droppable=False)
        self._record(Event.EXECUTION_SUCCESS, {"prompt_id": self._prompt_id})

    def interrupted(self, node_id: str, node_type: str, executed: Iterable[str]) -> None:
        data = {
            "prompt_id": self._prompt_id,
            "node_id": node_id,
            "node_type": node_type,
            "executed": list(executed),
        }
        self._record(Event.EXECUTION_INTERRUPTED, data, everybody=True)

    def failed(
        self,
        node_id: str,
        node_type: str,
        error: BaseException,
        inputs: Mapping[str, list[Any]],
        executed: Iterable[str],
        known: Iterable[str],
    ) -> None:
        data = {
            "prompt_id": self._prompt_id,
            "node_id": node_id,
            "node_type": node_type,
            "executed": list(executed),
            "exception_message": f"{error}\n",
            "exception_type": type_name(error),
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": {name: [_shown(value) for value in values] for name, values in inputs.items()},
            "current_outputs": list(known),
        }
        self._record(Event.EXECUTION_ERROR, data)

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
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }

    def _set_state(self, node_id: str, value: float, maximum: float, state: NodeState) -> None:
        self._progress[node_id] = {"value": value, "max": maximum, "state": state, **self._about(node_id)}
        recent = time.monotonic() - self._state_sent < LARGE_PROMPT_SECONDS
        if not recent or len(self._progress) <= LARGE_PROMPT:
            self._send_state(droppable=True)

    def _send_state(self, *, droppable: bool) -> None:
        self._state_sent = time.monotonic()
        data = {"prompt_id": self._prompt_id, "nodes": self._progress}
        self._hub.send(Event.PROGRESS_STATE, data, self._client_id, droppable=droppable)

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
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:SHOWN_CHARACTERS]
