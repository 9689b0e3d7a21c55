"""Event streams (Server-Sent Events, WHATWG HTML section 9.2) and other calls that stay open."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from comfyserve.apis.http.answers import to_json
from comfyserve.apis.http.errors import Busy, InvalidRequest
from comfyserve.core.errors import Place
from comfyserve.core.limits import MAX_NUMBER

T = TypeVar("T")

KEEPALIVE = b": keepalive\n\n"
STREAM_HEADERS = {"cache-control": "no-cache", "connection": "keep-alive", "x-accel-buffering": "no"}
MAX_DIGITS = 20
"""More need not be read to know that a number is too large."""

LAST_WORD_SECONDS = 0.2
"""How long a stream that is closed waits for a message that may be on its way."""


class Slots:
    """How many calls may stay open at once, and until when: they end when it is closed, streams to be resumed later."""

    def __init__(self, most: int) -> None:
        self.free = most
        self.closed = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one slot. Raises Busy when none is free."""
        slot = self._take()
        try:
            yield
        finally:
            slot.release()

    @contextmanager
    def for_stream(self) -> Iterator["Slot"]:
        """Take a slot that the stream made inside gives back at its end. Raises Busy when none is free."""
        slot = self._take()
        try:
            yield slot
        except BaseException:
            slot.release()
            raise

    def _take(self) -> "Slot":
        if self.free <= 0:
            raise Busy("Too many event streams and sync calls are open; poll the run, or try again soon.")
        self.free -= 1
        return Slot(self)


class Slot:
    """The right of one call to stay open, until `closed`."""

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots
        self.closed = slots.closed

    def release(self) -> None:
        """Give the slot back; once is enough."""
        if self._slots is not None:
            self._slots.free += 1
            self._slots = None


def message(event: str, data: Any, *, seq: int | None = None) -> bytes:
    """One event; `data` is a shape or plain values, written as one line of JSON."""
    head = f"id: {seq}\nevent: {event}\ndata: " if seq is not None else f"event: {event}\ndata: "
    return head.encode() + to_json(data) + b"\n\n"


def last_seen(request: Request, after: int | None) -> int:
    """Where a stream resumes: the Last-Event-ID header, else `after`, else the beginning (0)."""
    header = request.headers.get("last-event-id", "").strip()
    if not header:
        return after or 0
    if not header.isdecimal() or len(header) > MAX_DIGITS or int(header) > MAX_NUMBER:
        raise InvalidRequest(
            "Last-Event-ID must be the number of an event of this run.", place=Place(field="last-event-id")
        )
    return int(header)


async def primed(messages: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same messages with the first one ready, so that what it raises becomes an answer and not a broken stream."""

    async def all_of_them() -> AsyncGenerator[bytes, None]:
        async with aclosing(messages):
            first = await anext(messages, b"")
            yield b""  # From here on, closing this generator closes `messages` too.
            yield first
            async for message in messages:
                yield message

    ready = all_of_them()
    await anext(ready)
    return ready


class EventStream(StreamingResponse):
    """A stream of events. At its end, however it comes, its messages are closed and its slot is free."""

    def __init__(
        self, messages: AsyncGenerator[bytes, None], slot: Slot, keepalive: float, headers: dict[str, str]
    ) -> None:
        parts = _with_comments(messages, slot.closed, keepalive)
        super().__init__(parts, media_type="text/event-stream", headers={**STREAM_HEADERS, **headers})
        self._parts = parts
        self._messages = messages
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slot.release()
            await self._parts.aclose()
            await self._messages.aclose()


def stream(
    messages: AsyncGenerator[bytes, None], slot: Slot, *, keepalive: float, headers: dict[str, str] | None = None
) -> EventStream:
    """Send messages as they come, and a comment whenever `keepalive` seconds pass without one."""
    return EventStream(messages, slot, keepalive, headers or {})


async def _with_comments(
    messages: AsyncGenerator[bytes, None], closed: asyncio.Event, keepalive: float
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


async def _close(messages: AsyncGenerator[bytes, None], waiting: asyncio.Future[bytes | None] | None) -> None:
    if waiting is not None:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await messages.aclose()


async def unless_gone(request: Request, answer: Awaitable[T]) -> T | None:
    """Await `answer`; None, and the waiting given up, when the client leaves first."""
    return await _unless(_left(request), answer)


async def unless_closed(slots: Slots, answer: Awaitable[T]) -> T | None:
    """Await `answer`; None, and the waiting given up, when the server stops first."""
    return await _unless(slots.closed.wait(), answer)


async def _unless(other: Awaitable[object], answer: Awaitable[T]) -> T | None:
    working, ending = asyncio.ensure_future(answer), asyncio.ensure_future(other)
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
