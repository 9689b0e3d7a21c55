"""What has arrived for one prompt and was not told yet: bounded, and newest wins for progress and previews."""

import asyncio
from collections import deque
from contextlib import suppress

from comfyserve.core.errors import EngineLost
from comfyserve.ports import EngineEvent, Preview, Progress, Started

MAX_WAITING = 1_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Events kept for a slow reader, and what the messages that told them may weigh together; beyond it the oldest go, for
the history record tells the whole story anyway."""

FIRST_DELAY = 0.02
CLOSING_DELAY = 0.25
"""Seconds given to `executing(null)` after an `execution_*` message, before the history is asked without it."""


class Inbox:
    """The mailbox of one prompt in flight, filled by the listener and emptied by the client's `execute`."""

    def __init__(self, prompt_id: str) -> None:
        self.prompt_id = prompt_id
        self.orphan = False
        """The engine sends this prompt's messages to a socket that we no longer have, so we must ask."""
        self.dropped = False
        """We took it out of the queue: absent now means interrupted, not forgotten."""
        self.ended = False
        """We heard its end: an engine that has no record yet will have one, it did not forget."""
        self.executing = False
        """The engine's last answer was that it executes this prompt."""
        self.lost: EngineLost | None = None
        """Why the engine is gone, once somebody said so."""
        self.overslept = False
        """The last wait ended in silence, not by news or in doubt."""
        self.missing_since: float | None = None
        self.unreachable_since: float | None = None
        self._started = False
        self._events: deque[tuple[EngineEvent, int]] = deque()
        self._weight = 0
        self._delay: float | None = None
        self._hint = False
        self._wake = asyncio.Event()

    def add(self, event: EngineEvent, size: int = 0) -> None:
        """Keep an event, told by a message of `size` bytes; progress or a preview takes the place of one of its kind
        that still waits."""
        if isinstance(event, Progress | Preview):
            self._events = deque(waiting for waiting in self._events if type(waiting[0]) is not type(event))
            size = 0  # there is one of each
        self._events.append((event, size))
        self._weight += size
        while len(self._events) > MAX_WAITING or self._weight > MAX_WAITING_BYTES:
            self._weight -= self._events.popleft()[1]
        self._wake.set()

    def start(self) -> None:
        """The prompt left the engine's queue; told once, however often it is heard."""
        if not self._started:
            self._started = True
            self.add(Started())

    def take(self) -> list[EngineEvent]:
        """What arrived since the last call."""
        events = [event for event, _ in self._events]
        self._events.clear()
        self._weight = 0
        return events

    def closing(self) -> None:
        """The end was announced; the history follows soon."""
        self.ended = True
        self._delay = CLOSING_DELAY
        self._wake.set()

    def hint(self) -> None:
        """Ask the history now."""
        self._hint = True
        self.doubt()
        self._wake.set()

    def doubt(self) -> None:
        """The last answer settled nothing: ask again soon."""
        self._delay = self._delay or FIRST_DELAY

    def lose(self, error: EngineLost) -> None:
        """The engine is gone."""
        self.lost = error
        self._wake.set()

    def raise_if_lost(self) -> None:
        """Raise the EngineLost that was noted, if any."""
        if self.lost is not None:
            raise self.lost

    async def wait(self, quiet: float, poll: float) -> bool:
        """Wait for news; True when the history should be asked: on a hint, or after the time that fits the doubt."""
        delay = quiet if self._delay is None else min(self._delay, poll)
        if not self._wake.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
        woken, asked = self._wake.is_set(), self._hint
        self.overslept = not woken and self._delay is None
        self._wake.clear()
        self._hint = False
        if self._delay is not None and not woken:
            self._delay = min(self._delay * 2, poll)
        return asked or not woken
