"""The websocket clients and what is sent to them, never more than each can take (spec section 8)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from comfyserve.embedded.settings import ServerSettings
from comfyserve.protocol.messages import SUPPORTS_PREVIEW_METADATA, Event

logger = logging.getLogger(__name__)

INCOMING_BYTES = 1024 * 1024
CLOSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Message:
    """A frame on its way. `to` is a client id, None means everybody; `metadata` limits it to the
    clients that announced (True) or did not announce (False) `supports_preview_metadata`."""

    payload: str | bytes
    to: str | None = None
    droppable: bool = False
    metadata: bool | None = None


class Client:
    """One websocket with the frames that wait for it."""

    def __init__(self, socket: web.WebSocketResponse, settings: ServerSettings) -> None:
        self._socket = socket
        self._settings = settings
        self._waiting: deque[str | bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self.cut = False
        """Whether the connection ends without a goodbye."""
        self.silent = False
        self.dismissed = asyncio.Event()
        """Set when the server ends the connection."""
        self.flags: dict[str, Any] = {}

    def offer(self, payload: str | bytes, droppable: bool) -> None:
        """Queue a frame. A slow client misses droppable ones; one that is too far behind gets no more at all."""
        if self.dismissed.is_set() or self.silent or (droppable and self._is_behind()):
            return
        self._waiting.append(payload)
        self._bytes += len(payload)
        self._wake.set()
        backlog = self._settings
        if len(self._waiting) > backlog.socket_backlog or self._bytes > backlog.socket_backlog_bytes:
            logger.warning("websocket client dropped: it is too slow")
            self.end(cut=True)

    def end(self, *, cut: bool) -> None:
        """The server ends the connection, with a goodbye or without."""
        self.cut = cut
        self.dismissed.set()

    def hush(self) -> None:
        """Send nothing more, without ending the connection."""
        self.silent = True

    def _is_behind(self) -> bool:
        return len(self._waiting) >= self._settings.socket_slack or self._bytes >= self._settings.socket_slack_bytes

    async def pump(self) -> None:
        """Send what waits, until the client is gone."""
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            payload = self._waiting.popleft()
            self._bytes -= len(payload)
            if isinstance(payload, str):
                await self._socket.send_str(payload)
            else:
                await self._socket.send_bytes(payload)


class Hub:
    """All clients. `post` may be called from any thread, the rest from the event loop only."""

    def __init__(self, settings: ServerSettings, server_flags: Mapping[str, Any]) -> None:
        self._settings = settings
        self._server_flags = server_flags
        self._clients: dict[str, Client] = {}
        self._open: set[Client] = set()
        """Every open connection; one whose id was taken by a newer one hears nothing more."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: deque[Message] = deque()
        self._scheduled = False
        self._lock = threading.Lock()
        self.greet: Callable[[str], list[str]] = lambda _: []
        """The frames that a client gets when it connects."""

    def start(self) -> None:
        """Remember the running loop as the one that sends."""
        self._loop = asyncio.get_running_loop()

    def listens(self, to: str | None) -> bool:
        """Whether a message to this client (None: to everybody) would reach anyone."""
        return bool(self._clients) if to is None else to in self._clients

    def post(self, message: Message) -> None:
        """Hand a message over; order is kept."""
        loop = self._loop
        if loop is None or not self.listens(message.to):
            return
        with self._lock:
            if message.droppable and len(self._outbox) > self._settings.socket_backlog:
                return
            self._outbox.append(message)
            if self._scheduled:
                return
            self._scheduled = True
        # After the end of the event loop nobody listens.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._drain)

    def send(self, event: Event, data: Mapping[str, Any], to: str | None = None, *, droppable: bool = False) -> None:
        """Post a text frame."""
        if self.listens(to):
            self.post(Message(text_message(event, data), to, droppable))

    async def serve(self, request: web.Request, client_id: str) -> web.WebSocketResponse:
        """Accept a websocket and stay with it until it closes."""
        if len(self._open) >= self._settings.sockets:
            raise web.HTTPServiceUnavailable(text=f"{self._settings.sockets} websockets are open; close one first")
        socket = web.WebSocketResponse(compress=False, max_msg_size=INCOMING_BYTES, timeout=CLOSE_SECONDS)
        client = Client(socket, self._settings)
        self._open.add(client)
        try:
            await socket.prepare(request)
            await self._stay(socket, client, client_id)
        finally:
            self._open.discard(client)
        await _close(request, socket, client)
        return socket

    async def _stay(self, socket: web.WebSocketResponse, client: Client, client_id: str) -> None:
        for frame in self.greet(client_id):
            client.offer(frame, droppable=False)
        self._clients[client_id] = client
        ends = (client.pump(), client.dismissed.wait(), self._listen(socket, client))
        tasks = [asyncio.create_task(end) for end in ends]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A newer connection under the same id stays registered.
            if self._clients.get(client_id) is client:
                del self._clients[client_id]
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, ConnectionError):
                    logger.error("websocket client lost", exc_info=ended)

    def dismiss_all(self) -> None:
        """End every connection: the server stops."""
        for client in self._open:
            client.end(cut=False)

    def cut_all(self) -> None:
        """Play a lost network: every connection ends without a goodbye. From any thread."""
        self._on_every_client(lambda client: client.end(cut=True))

    def silence_all(self) -> None:
        """Play a network that swallows: the open connections stay open and hear nothing more. From any thread."""
        self._on_every_client(Client.hush)

    def _on_every_client(self, play: Callable[[Client], None]) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._play, play)

    def _play(self, play: Callable[[Client], None]) -> None:
        for client in self._open:
            play(client)

    def _drain(self) -> None:
        with self._lock:
            messages, self._outbox = self._outbox, deque()
            self._scheduled = False
        for message in messages:
            for client in self._receivers(message.to):
                if message.metadata in (None, _takes_metadata(message, client)):
                    client.offer(message.payload, message.droppable)

    def _receivers(self, to: str | None) -> list[Client]:
        if to is None:
            return list(self._clients.values())
        client = self._clients.get(to)
        return [client] if client else []

    async def _listen(self, socket: web.WebSocketResponse, client: Client) -> None:
        """Only the first JSON object counts, and only if it announces feature flags."""
        first = True
        async for frame in socket:
            message = _object(frame.data) if first and frame.type == WSMsgType.TEXT else None
            if message is None:
                continue
            first = False
            if message.get("type") == Event.FEATURE_FLAGS:
                flags = message.get("data")
                client.flags = flags if isinstance(flags, dict) else {}
                client.offer(text_message(Event.FEATURE_FLAGS, self._server_flags), droppable=False)


def _takes_metadata(message: Message, client: Client) -> bool:
    """What goes to everybody goes in the older form: ComfyUI asks for the flags of a prompt's own client only."""
    return message.to is not None and client.flags.get(SUPPORTS_PREVIEW_METADATA) is True


def text_message(event: str, data: Any) -> str:
    """The text frame of an event; what has no JSON form (a node may show anything) becomes text."""
    return json.dumps({"type": event, "data": data}, default=str)


async def _close(request: web.Request, socket: web.WebSocketResponse, client: Client) -> None:
    """Say goodbye, unless the client would not read that either."""
    if not client.cut:
        await socket.close(code=WSCloseCode.GOING_AWAY)
    elif request.transport is not None:
        request.transport.abort()


def _object(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
