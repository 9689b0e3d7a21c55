"""Event streams (Server-Sent Events, WHATWG HTML section 9.2) and other calls that stay open."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse

from comfyserve.apis.http.answers import to_json
from comfyserve.apis.http.errors import Busy, InvalidRequest
from comfyserve.core.errors import Place

T = TypeVar("T")

KEEPALIVE = b": keepalive\n\n"
STREAM_HEADERS = {"cache-control": "no-cache", "connection": "keep-alive", "x-accel-buffering": "no"}
MAX_SEQ = 2**31 - 1
LAST_WORD_SECONDS = 0.2
"""How long a stream that is closed waits for a message that may be on its way."""


class Slots:
    """How many calls may stay open at once, and until when: streams end when it is closed, to be resumed later."""

    def __init__(self, most: int) -> None:
        self.free = most
        self.closed = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one slot. Raises Busy when none is free."""
        self.check()
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1

    def check(self) -> None:
        """Raise Busy when no slot is free."""
        if self.free <= 0:
            raise Busy("Too many event streams and sync calls are open; poll the run, or try again soon.")


def message(event: str, data: Any, *, seq: int | None = None) -> bytes:
    """One event; `data` is a shape or plain values, written as one line of JSON."""
    head = f"id: {seq}\nevent: {event}\ndata: " if seq is not None else f"event: {event}\ndata: "
    return head.encode() + to_json(data) + b"\n\n"


def last_seen(request: Request, after: int | None) -> int:
    """Where a stream resumes: the Last-Event-ID header, else `after`, else the beginning (0)."""
    header = request.headers.get("last-event-id", "").strip()
    if not header:
        return after or 0
    if not header.isdecimal() or int(header) > MAX_SEQ:
        raise InvalidRequest(
            "Last-Event-ID must be the number of an event of this run.", place=Place(field="last-event-id")
        )
    return int(header)


async def primed(messages: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same messages with the first one ready, so that what it raises becomes an answer and not a broken stream."""
    first = await anext(messages, b"")

    async def all_of_them() -> AsyncGenerator[bytes, None]:
        async with aclosing(messages):
            yield first
            async for message in messages:
                yield message

    return all_of_them()


def stream(
    messages: AsyncIterator[bytes], slots: Slots, *, keepalive: float, headers: dict[str, str] | None = None
) -> StreamingResponse:
    """Send messages as they come, and a comment whenever `keepalive` seconds pass without one.

    Raises Busy when no slot is free. The messages' generator is closed when the client leaves.
    """
    slots.check()
    return StreamingResponse(
        _alive(messages, slots, keepalive),
        media_type="text/event-stream",
        headers={**STREAM_HEADERS, **(headers or {})},
    )


async def _alive(messages: AsyncIterator[bytes], slots: Slots, keepalive: float) -> AsyncIterator[bytes]:
    with slots.one():
        async with aclosing(_with_comments(messages, slots.closed, keepalive)) as parts:
            async for part in parts:
                yield part


async def _with_comments(
    messages: AsyncIterator[bytes], closed: asyncio.Event, keepalive: float
) -> AsyncGenerator[bytes, None]:
    waiting: asyncio.Future[bytes | None] | None = None
    closing = asyncio.ensure_future(closed.wait())
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(messages, None))
            if not await _goes_on(waiting, closing, keepalive):
                return
            if not waiting.done():
                yield KEEPALIVE
                continue
            part, waiting = waiting.result(), None
            if part is None:
                return
            yield part
    finally:
        closing.cancel()
        await _close(messages, waiting)


async def _goes_on(waiting: asyncio.Future[Any], closing: asyncio.Future[Any], keepalive: float) -> bool:
    """Wait for a message, or for so long; False when there is none and there will be none."""
    await asyncio.wait({waiting, closing}, timeout=keepalive, return_when=asyncio.FIRST_COMPLETED)
    if closing.done():
        await asyncio.wait({waiting}, timeout=LAST_WORD_SECONDS)
    return waiting.done() or not closing.done()


async def _close(messages: AsyncIterator[bytes], waiting: asyncio.Future[bytes | None] | None) -> None:
    if waiting is not None:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    close = getattr(messages, "aclose", None)
    if close is not None:
        await close()


async def unless_gone(request: Request, answer: Awaitable[T]) -> T | None:
    """Await `answer`; None, and the waiting given up, when the client leaves first."""
    working = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
