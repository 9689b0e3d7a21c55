"""How large a request body may be. What is too large is refused before it is in memory."""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comfyserve.apis.http.errors import Faces, too_large

DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_SECONDS = 10.0
"""A refused body is read and thrown away within these bounds: a client that still sends would not read the answer."""

MAX_DIGITS = 20
"""So many are enough to know that a length is too large."""

LimitOf = Callable[[Scope], int]


class BodyLimit:
    """Refuses bodies over `limit_of(scope)` bytes: at once when their length is told, else when they reach it."""

    def __init__(self, app: ASGIApp, *, limit_of: LimitOf, faces: Faces) -> None:
        self.app = app
        self.limit_of = limit_of
        self.faces = faces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limit_of(scope)
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and (length := int(told[:MAX_DIGITS])) > limit:
            await self._refuse(scope, receive, send, length)
            return
        await self.app(scope, _counted(receive, limit), send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, told: int) -> None:
        if told <= DRAIN_BYTES and "expect" not in Headers(scope=scope):
            await _drain(receive)
        await self.faces.answer(scope, too_large(self.limit_of(scope)))(scope, receive, send)


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                # The framework lets an HTTPException through while it reads a body, and nothing else.
                raise HTTPException(413, too_large(limit).message)
        return message

    return counted


async def _drain(receive: Receive) -> None:
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
