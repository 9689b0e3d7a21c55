"""The websocket to an engine: one per client, kept open, its messages sorted by prompt (spec section 8)."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

import aiohttp
import structlog

from comfyserve.core.errors import EngineLost
from comfyserve.engines.inbox import Inbox
from comfyserve.engines.reading import read_event, read_message, whole
from comfyserve.engines.tap import hand_on
from comfyserve.ports import Preview, TellSystem
from comfyserve.protocol import messages, routes
from comfyserve.protocol.messages import TERMINAL_EVENTS, Event

MAX_FRAME_BYTES = 32 * 1024 * 1024
GOODBYE_SECONDS = 0.5
RECONNECT_DELAYS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
HELLO = json.dumps({"type": Event.FEATURE_FLAGS, "data": {messages.SUPPORTS_PREVIEW_METADATA: True}})

log = structlog.get_logger(__name__)


class Listener:
    """Listens under a fresh client id per connection and fills the inboxes. Nothing an engine sends can end it."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, heartbeat: float, tell: TellSystem | None = None
    ) -> None:
        """`heartbeat`: seconds without a word after which the engine is pinged; it has half of that to answer. `tell`
        gets every message that is a system event."""
        self.client_id: str | None = None
        self._session = session
        self._url = url
        self._heartbeat = heartbeat
        self._tell = tell
        self._inboxes: dict[str, Inbox] = {}
        self._running: Inbox | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[bool] | None = None
        self._complained = False

    def start(self) -> None:
        """Begin to listen; again is nothing."""
        if self._task is None or (self._task.done() and not self._session.closed):
            self._task = asyncio.create_task(self._stay_connected(), name="engine listener")

    async def connected(self, seconds: float) -> bool:
        """Whether the socket is up, waiting at most this long for it."""
        self.start()
        if self._up.is_set():
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._up.wait()
        return self._up.is_set()

    def register(self, prompt_id: str) -> Inbox:
        """A mailbox for a prompt that is about to be submitted."""
        inbox = self._inboxes[prompt_id] = Inbox(prompt_id)
        return inbox

    def unregister(self, inbox: Inbox) -> None:
        """Nobody reads this mailbox any more. A socket that stayed silent to its end is replaced."""
        if self._inboxes.get(inbox.prompt_id) is inbox:
            del self._inboxes[inbox.prompt_id]
        if self._running is inbox:
            self._running = None
        if inbox.overslept and not inbox.orphan and self._socket is not None:
            log.warning("engine.socket_silent", url=self._url)
            self._leaving = asyncio.create_task(self._socket.close())
            self._down()

    def find(self, prompt_id: str) -> Inbox | None:
        """The mailbox of a prompt in flight."""
        return self._inboxes.get(prompt_id)

    def lose(self, error: EngineLost) -> None:
        """Tell everybody who waits that the engine is gone."""
        for inbox in self._inboxes.values():
            inbox.lose(error)

    async def close(self) -> None:
        """Stop listening."""
        for task in filter(None, (self._task, self._leaving)):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            client_id = uuid4().hex
            try:
                async with self._session.ws_connect(
                    self._url + routes.WEBSOCKET,
                    params={routes.CLIENT_ID: client_id},
                    heartbeat=self._heartbeat,
                    timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE_SECONDS),
                    max_msg_size=MAX_FRAME_BYTES,
                ) as socket:
                    failures = 0
                    await socket.send_str(HELLO)
                    await self._listen(socket, client_id)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.debug("engine.socket_failed", url=self._url, error=repr(error))
            finally:
                self._down()
            await asyncio.sleep(RECONNECT_DELAYS[min(failures, len(RECONNECT_DELAYS) - 1)])
            failures += 1

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, client_id: str) -> None:
        self.client_id, self._socket = client_id, socket
        self._up.set()
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.ERROR:
                return
            self._take(frame)

    def _take(self, frame: aiohttp.WSMessage) -> None:
        """Read one frame; one that we fail at costs no more than itself."""
        try:
            if frame.type is aiohttp.WSMsgType.TEXT:
                self._receive(frame.data)
            elif frame.type is aiohttp.WSMsgType.BINARY:
                self._receive_preview(frame.data)
        except Exception:
            if not self._complained:
                log.exception("engine.frame_failed", url=self._url, frame=repr(frame.data[:200]))
            self._complained = True

    def _down(self) -> None:
        """Messages for the prompts in flight go nowhere from now on: each must be asked for."""
        self.client_id = self._socket = None
        self._up.clear()
        self._running = None
        for inbox in self._inboxes.values():
            inbox.orphan = True
            inbox.hint()

    def _receive(self, frame: str) -> None:
        if self._tell is not None:
            hand_on(frame, self._tell)
        if (message := read_message(frame)) is None:
            return
        kind, data = message
        if kind == Event.STATUS:
            self._hint_orphans()
            return
        prompt_id = data.get("prompt_id")
        if isinstance(prompt_id, str) and (inbox := self._inboxes.get(prompt_id)) is not None:
            self._sort(inbox, kind, data, len(frame))

    def _sort(self, inbox: Inbox, kind: str, data: Mapping[str, Any], size: int) -> None:
        if kind in TERMINAL_EVENTS:
            inbox.closing()
        elif kind == Event.EXECUTING and data.get("node") is None:
            inbox.hint()
        else:
            self._running = inbox
            inbox.start()
            if (event := read_event(kind, data)) is not None:
                inbox.add(event, size)

    def _receive_preview(self, frame: bytes) -> None:
        try:
            parsed = messages.parse_frame(frame)
        except ValueError:
            return
        if not isinstance(parsed, messages.Preview) or parsed.content_type not in messages.CONTENT_TYPES.values():
            return
        prompt_id, node_id = (parsed.metadata.get(name) for name in ("prompt_id", "display_node_id"))
        inbox = self._inboxes.get(prompt_id) if isinstance(prompt_id, str) else self._running
        if inbox is not None:
            inbox.add(Preview(parsed.image, parsed.content_type, whole(node_id) if isinstance(node_id, str) else None))

    def _hint_orphans(self) -> None:
        """`status` goes to every socket when any prompt ends: a good moment to ask for those we cannot hear."""
        for inbox in self._inboxes.values():
            if inbox.orphan:
                inbox.hint()
