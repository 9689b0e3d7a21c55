"""The realtime socket `GET /comfyui-deploy/ws?clientId=`, hung on ComfyUI's server as any node package may do it.

Whom the server lets in (origins, hosts) its own middleware decides, for this route as for all others.
"""

import asyncio
import json
import logging
import uuid
from typing import Any

from aiohttp import WSMsgType, web

from . import _frames, _settings, _sources
from ._sessions import SESSIONS, Session, TooManySessions

logger = logging.getLogger(__name__)

PATH = "/comfyui-deploy/ws"
MAX_CLIENT_ID = 200
MAX_TEXT = 4 * 1024 * 1024
HEARTBEAT_SECONDS = 30.0
CLOSE_SECONDS = 1.0


def add_to(server: Any) -> None:
    """Add the socket to a PromptServer that has not begun to serve; once, however often it is asked."""
    if any(getattr(route, "path", None) == PATH for route in server.routes):
        return
    server.routes.get(PATH)(serve)
    server.app.on_shutdown.append(_end_all)


async def serve(request: web.Request) -> web.StreamResponse:
    """Stay with one client until it or the server ends the connection, or a newer one has the same id."""
    client_id = request.query.get("clientId") or uuid.uuid4().hex
    if len(client_id) > MAX_CLIENT_ID:
        raise web.HTTPBadRequest(text=f"clientId may have at most {MAX_CLIENT_ID} characters.")
    room = _settings.whole("SOCKET_MB") * _settings.MB
    socket = web.WebSocketResponse(
        compress=False, max_msg_size=room + _frames.FROM_CLIENT.size, heartbeat=HEARTBEAT_SECONDS
    )
    try:
        session = SESSIONS.open(client_id, room, _settings.whole("SOCKETS"))
    except TooManySessions as error:
        raise web.HTTPServiceUnavailable(text=str(error)) from error
    try:
        await socket.prepare(request)
        await socket.send_str(_event("status", {"sid": client_id}))
        await _stay(socket, session)
    finally:
        SESSIONS.close(session)
    await _close(request, socket)
    return socket


async def _stay(socket: web.WebSocketResponse, session: Session) -> None:
    ends = (_pump(socket, session), _listen(socket, session), session.ended.wait())
    tasks = [asyncio.ensure_future(end) for end in ends]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, ConnectionError):
                logger.error("A realtime connection was lost.", exc_info=ended)


async def _pump(socket: web.WebSocketResponse, session: Session) -> None:
    while True:
        frame = await session.next_frame()
        if isinstance(frame, str):
            await socket.send_str(frame)
        else:
            await socket.send_bytes(frame)


async def _listen(socket: web.WebSocketResponse, session: Session) -> None:
    """Keep what the client sends; what cannot be kept is answered with an event `error`."""
    async for message in socket:
        try:
            if message.type == WSMsgType.BINARY:
                input_id, content = _frames.read_frame(message.data)
                _keep(session, input_id, content)
            elif message.type == WSMsgType.TEXT:
                _take_text(message.data, session)
        except ValueError as error:
            session.offer(_event("error", {"message": str(error)}))


def _take_text(text: str, session: Session) -> None:
    """`{"event": "input", "inputs": {input id: data URI of a picture}}`. Raises ValueError."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"A text message may have at most {MAX_TEXT} characters; send pictures as binary frames.")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("A text message must be JSON.") from None
    inputs = message.get("inputs") if isinstance(message, dict) and message.get("event") == "input" else None
    if not isinstance(inputs, dict):
        raise ValueError('The only message taken is {"event": "input", "inputs": {...}}; queue with POST /prompt.')
    for name, value in inputs.items():
        if not _frames.is_id(name):
            raise ValueError(f"The input id {name[:200]!r} must be ASCII of at most {_frames.MAX_ID_BYTES} characters.")
        if not isinstance(value, str) or value[:5].lower() != _sources.DATA:
            raise ValueError(
                f"The input {name!r} is no picture: send a binary frame or a data URI, or set it in the prompt."
            )
        _keep(session, _frames.plain_id(name), _sources.read(value) or b"")


def _keep(session: Session, input_id: str, content: bytes) -> None:
    """Keep a picture and say so: a prompt that is queued after that finds it."""
    session.keep(input_id, SESSIONS.received(content))
    session.offer(_event("received", {"input_id": input_id}))


async def _end_all(_: web.Application) -> None:
    SESSIONS.end_all()


async def _close(request: web.Request, socket: web.WebSocketResponse) -> None:
    """Say goodbye; a client that does not even read that is cut off."""
    try:
        await asyncio.wait_for(socket.close(), CLOSE_SECONDS)
    except (asyncio.TimeoutError, ConnectionError):  # noqa: UP041 - in Python 3.10 they are two
        if request.transport is not None:
            request.transport.abort()


def _event(event: str, data: dict[str, Any]) -> str:
    return json.dumps({"event": event, "data": data})
