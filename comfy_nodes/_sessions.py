"""The open realtime connections: the pictures that each one sent, and the frames that wait for it. Thread-safe."""

import asyncio
import contextlib
import itertools
import threading
from collections import deque
from dataclasses import dataclass

MAX_PICTURES = 32
"""How many inputs of one connection are kept; beyond it the oldest picture goes."""

MAX_WAITING = 64
"""How many frames may wait for a slow client; beyond it the oldest one is dropped."""

Frame = str | bytes


class TooManySessions(Exception):
    """No more connections are taken."""


@dataclass(frozen=True)
class Received:
    """A picture file as it came. No two have the same serial number, and newer ones have a higher one."""

    serial: int
    content: bytes


class Session:
    """One connection. Made on the event loop that serves it; `offer` and `picture` may be called from any thread."""

    def __init__(self, client_id: str, room: int) -> None:
        self.client_id = client_id
        self.ended = asyncio.Event()
        """Set when the server ends the connection."""
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._lock = threading.Lock()
        self._pictures: dict[str, Received] = {}
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0

    def keep(self, input_id: str, received: Received) -> None:
        """Put a picture in the place of the one before; the oldest go when there are too many, or too many bytes.

        Raises ValueError for one that is too large by itself.
        """
        if len(received.content) > self._room:
            raise ValueError(f"A picture may have at most {self._room} bytes, not {len(received.content)}.")
        with self._lock:
            self._pictures.pop(input_id, None)
            self._pictures[input_id] = received
            while len(self._pictures) > MAX_PICTURES or self._kept_bytes() > self._room:
                del self._pictures[next(iter(self._pictures))]

    def picture(self, input_id: str) -> Received | None:
        """The newest picture for that input."""
        with self._lock:
            return self._pictures.get(input_id)

    def offer(self, frame: Frame) -> None:
        """Let a frame wait until the client takes it. Never blocks: a slow client misses the oldest frames."""
        with self._lock:
            self._waiting.append(frame)
            self._waiting_bytes += len(frame)
            while len(self._waiting) > 1 and (len(self._waiting) > MAX_WAITING or self._waiting_bytes > self._room):
                self._waiting_bytes -= len(self._waiting.popleft())
        # After the end of the event loop nobody listens.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)

    async def next_frame(self) -> Frame:
        """The next frame that waits."""
        while True:
            with self._lock:
                if self._waiting:
                    frame = self._waiting.popleft()
                    self._waiting_bytes -= len(frame)
                    return frame
                self._wake.clear()
            await self._wake.wait()

    def end(self) -> None:
        """End the connection. From any thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.ended.set)

    def _kept_bytes(self) -> int:
        return sum(len(received.content) for received in self._pictures.values())


class Sessions:
    """All connections by their client id; a newer one takes the place of the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Session] = []
        self._serials = itertools.count(1)

    def open(self, client_id: str, room: int, most: int) -> Session:
        """Enter a connection that may keep `room` bytes in each direction. TooManySessions when `most` are open."""
        session = Session(client_id, room)
        with self._lock:
            if len(self._open) >= most:
                raise TooManySessions(f"{most} realtime connections are open; close one first.")
            replaced = [one for one in self._open if one.client_id == client_id]
            self._open.append(session)
        for one in replaced:
            one.end()
        return session

    def close(self, session: Session) -> None:
        """Forget a connection and what it sent."""
        with self._lock:
            self._open = [one for one in self._open if one is not session]

    def end_all(self) -> None:
        """End every connection: the server stops."""
        for session in self.of(""):
            session.end()

    def received(self, content: bytes) -> Received:
        """A picture with its number."""
        return Received(next(self._serials), content)

    def of(self, client_id: str) -> list[Session]:
        """The connections of a client, "" for those of all clients."""
        with self._lock:
            newest = {one.client_id: one for one in self._open}
        if not client_id:
            return list(newest.values())
        return [newest[client_id]] if client_id in newest else []

    def picture(self, client_id: str, input_id: str) -> Received | None:
        """The newest picture of a client for that input, "" for the newest of all clients."""
        found = [picture for session in self.of(client_id) if (picture := session.picture(input_id)) is not None]
        return max(found, key=lambda picture: picture.serial, default=None)


SESSIONS = Sessions()
"""Those of this process: the socket fills them, the nodes read them."""
