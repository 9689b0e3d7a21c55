"""The server as packs see it: routes, messages to the browser, the queue, and a look at every submitted prompt."""

from __future__ import annotations

import asyncio
import io
import json
import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, ClassVar

from aiohttp import web

from comfyserve.embedded import context
from comfyserve.embedded.comfy_modules.app.user_manager import UserManager
from comfyserve.embedded.comfy_modules.execution import PromptQueue
from comfyserve.embedded.events.sockets import Message, text_message
from comfyserve.embedded.packs.host import engine
from comfyserve.protocol.messages import PreviewFormat, preview_frame, text_frame


class BinaryEventTypes(IntEnum):
    """The first word of a binary frame; UNENCODED_PREVIEW_IMAGE never travels."""

    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


class PromptServer:
    """One per engine: `PromptServer.instance`."""

    instance: ClassVar[PromptServer]

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._engine = engine()
        self._loop = loop
        self.routes: web.RouteTableDef = self._engine.packs.routes
        self.app: web.Application = self._engine.packs.application(self._engine.settings.body_bytes)
        self.prompt_queue = PromptQueue(self)
        self.user_manager = UserManager()
        self.supports: list[str] = ["custom_nodes_from_web"]
        self.on_prompt_handlers = self._engine.packs.prompt_seen
        self.client_session: Any = None
        self.number = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the server. RuntimeError where packs were loaded without one."""
        if self._loop is None:
            raise RuntimeError("The server's event loop does not run yet.")
        return self._loop

    @property
    def client_id(self) -> str | None:
        """The client of the running prompt."""
        running = self._engine.queue.look()[0]
        return running.client_id if running else None

    @property
    def last_prompt_id(self) -> str | None:
        """The prompt that runs."""
        running = self._engine.queue.look()[0]
        return running.prompt_id if running else None

    @property
    def last_node_id(self) -> str | None:
        """The node that runs, asked from inside of it."""
        try:
            return context.current().node_id or None
        except LookupError:
            return None

    def add_on_prompt_handler(self, handler: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Let handler see, and change, the body of every POST /prompt before it is validated."""
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, json_data: dict[str, Any]) -> dict[str, Any]:
        """What the handlers make of a body."""
        return self._engine.packs.on_prompt(json_data)

    def get_queue_info(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": self._engine.queue.remaining()}}

    def queue_updated(self) -> None:
        """Tell every client how long the queue is."""
        self._engine.worker.announce_status()

    def send_sync(self, event: str | int, data: Any, sid: str | None = None) -> None:
        """Send to one client or, without sid, to all; from any thread. Numbers are binary frames, words text ones."""
        if isinstance(event, int):
            self._post_binary(event, data, sid)
        else:
            self._engine.hub.post(Message(text_message(event, data), sid))

    async def send(self, event: str | int, data: Any, sid: str | None = None) -> None:
        self.send_sync(event, data, sid)

    async def send_json(self, event: str, data: Any, sid: str | None = None) -> None:
        self.send_sync(event, data, sid)

    async def send_bytes(self, event: int, data: bytes, sid: str | None = None) -> None:
        self._engine.hub.post(Message(bytes(self.encode_bytes(event, data)), sid))

    async def send_image(self, image_data: tuple[str, Any, int | None], sid: str | None = None) -> None:
        self._post_binary(BinaryEventTypes.UNENCODED_PREVIEW_IMAGE, image_data, sid)

    def send_progress_text(self, text: str | bytes, node_id: str, sid: str | None = None) -> None:
        """Show a text on a node."""
        shown = text if isinstance(text, str) else bytes(text).decode()
        self._engine.hub.post(Message(text_frame(str(node_id), shown), sid))

    def encode_bytes(self, event: int, data: bytes) -> bytearray:
        """A binary frame: the event as a big-endian word, then the data."""
        return bytearray(struct.pack(">I", event) + data)

    def _post_binary(self, event: int, data: Any, sid: str | None) -> None:
        if event == BinaryEventTypes.UNENCODED_PREVIEW_IMAGE:
            frame = _picture_frame(data)
        elif event == BinaryEventTypes.PREVIEW_IMAGE_WITH_METADATA and isinstance(data, tuple):
            frame = _picture_frame(data[0], data[1])
        else:
            frame = bytes(self.encode_bytes(event, data))
        self._engine.hub.post(Message(frame, sid, droppable=True))


def _picture_frame(preview: tuple[str, Any, int | None], metadata: Mapping[str, Any] | None = None) -> bytes:
    """A preview of (format, Pillow image, longest side)."""
    kind, picture, most = preview
    if most is not None and max(picture.size) > most:
        picture = picture.copy()
        picture.thumbnail((most, most))
    buffer = io.BytesIO()
    (picture if kind == "PNG" else picture.convert("RGB")).save(buffer, kind, quality=95)
    if metadata is None:
        return preview_frame(buffer.getvalue(), PreviewFormat.PNG if kind == "PNG" else PreviewFormat.JPEG)
    about = json.dumps({**metadata, "image_type": f"image/{kind.lower()}"}).encode()
    event = BinaryEventTypes.PREVIEW_IMAGE_WITH_METADATA
    return struct.pack(">II", event, len(about)) + about + buffer.getvalue()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


PromptServer.instance = PromptServer(_running_loop())
