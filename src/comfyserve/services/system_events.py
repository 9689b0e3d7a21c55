"""System events: what happens in the program, sent to its operator (stateless-comfyui-api.md, section 4.4).

They are told, not owed: nothing is kept on disk, and when a receiver takes less than there is, what comes is dropped.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.core.javascript import json_text
from comfyserve.ports import Sender
from comfyserve.ports import SystemEvent as SystemEvent
from comfyserve.ports import TellSystem as TellSystem
from comfyserve.services.deliver import BACK_OFF, TRIES
from comfyserve.services.letters import Letter, at_hand, seal
from comfyserve.services.postings import Posting
from comfyserve.services.request_ids import RequestIds

AT_ONCE = 4
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 32 * 1024 * 1024
LONGEST_PAUSE = 30.0
"""Seconds between two tries at most: events grow old."""

STATUS = "status"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SystemOptions:
    """Where system events go and what is in them. `events` are names; `key` signs; `tries`: how often each is sent at
    most, 0: never."""

    url: str = field(repr=False)
    events: frozenset[str]
    metadata: Mapping[str, str]
    key: bytes = field(default=b"", repr=False)
    tries: int = TRIES


@dataclass(frozen=True)
class _Waiting:
    id: str
    name: str
    body: bytes


class SystemEvents:
    """Sends system events. Those of one prompt, and those of none, arrive in their order; a few calls go at once."""

    def __init__(
        self,
        sender: Sender,
        options: SystemOptions,
        *,
        request_ids: RequestIds,
        depth: Callable[[], int | None],
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most: int = MOST_WAITING,
        most_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        """`depth`: how many runs have not ended, if it is known."""
        self.dropped = 0
        self._sender = sender
        self._options = options
        self._request_ids = request_ids
        self._depth = depth
        self._clock = clock
        self._ids = ids
        self._sleep = sleep
        self._most = most
        self._most_bytes = most_bytes
        self._lanes: dict[str, deque[_Waiting]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._count = self._bytes = 0

    def tell(self, event: SystemEvent) -> None:
        """Take an event, in the loop's own thread. Returns at once and never raises."""
        if event.name not in self._options.events or self._options.tries == 0:
            return
        try:
            self._take(event)
        except Exception:
            log.exception("system_event_not_told", event_name=event.name)

    async def settled(self) -> None:
        """Return when nothing waits any more."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def close(self, seconds: float = 0.0) -> None:
        """Give what waits so many seconds, and let go of the rest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.settled()
        tasks = list(self._sending)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            log.warning("system_events_not_sent", waiting=self._count)

    def _take(self, event: SystemEvent) -> None:
        loop = asyncio.get_running_loop()
        shown = {"event": f"{event.label}.{event.name}", "data": self._shown(event)}
        body = json_text(shown | {"metadata": self._options.metadata})
        if self._count >= self._most or self._bytes + len(body) > self._most_bytes:
            self._drop(event.name, "too many are waiting")
            return
        self._count += 1
        self._bytes += len(body)
        lane = _prompt_of(event) or event.label
        waiting = self._lanes.setdefault(lane, deque())
        waiting.append(_Waiting(self._ids(), event.name, body))
        if len(waiting) == 1:
            task = loop.create_task(self._empty(lane))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _empty(self, lane: str) -> None:
        """Send what waits there, one after the other."""
        waiting = self._lanes[lane]
        while waiting:
            first = waiting[0]
            try:
                await self._deliver(first)
            except Exception:
                log.exception("system_event_failed", event_name=first.name)
            waiting.popleft()
            self._count -= 1
            self._bytes -= len(first.body)
        del self._lanes[lane]

    async def _deliver(self, event: _Waiting) -> None:
        """Send an event as often as it takes, and drop it after the last try."""
        posting = Posting(at_hand(event.body), event.id, signed="always")
        problem = ""
        for tried in range(1, self._options.tries + 1):
            async with self._slots:
                problem, again = await self._send(await seal(posting, self._options.key, self._clock()))
            if not problem:
                return
            if not again or tried == self._options.tries:
                break
            await self._sleep(min(LONGEST_PAUSE, BACK_OFF[min(tried, len(BACK_OFF)) - 1]))
        self._drop(event.name, problem)

    async def _send(self, letter: Letter) -> tuple[str, bool]:
        """What went wrong, empty if nothing, and whether another try may help."""
        try:
            answer = await self._sender.post(self._options.url, letter.content(), letter.headers, length=letter.length)
        except (FetchFailed, FetchRefused) as error:
            return error.message, isinstance(error, FetchFailed)
        return ("", False) if 200 <= answer < 300 else (f"The receiver answered {answer}.", True)

    def _drop(self, name: str, problem: str) -> None:
        """Count it; the log hears of the first one, and then more and more rarely."""
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:
            log.warning("system_events_dropped", dropped=self.dropped, last=name, problem=problem)

    def _shown(self, event: SystemEvent) -> Any:
        """A message of an engine tells its own id of a prompt, and its own queue: here are the caller's, and ours."""
        inside = event.data.get("data")
        if event.label != "comfy" or not isinstance(inside, Mapping):
            return event.data
        if event.name == STATUS and (depth := self._depth()) is not None:
            return {**event.data, "data": _with_depth(inside, depth)}
        return {**event.data, "data": _renamed(inside, self._request_ids)}


def _prompt_of(event: SystemEvent) -> str:
    """The engine's prompt that an event is about; empty when it is about none."""
    inside = event.data.get("data") if event.label == "comfy" else None
    prompt_id = inside.get("prompt_id") if isinstance(inside, Mapping) else None
    return prompt_id if isinstance(prompt_id, str) else ""


def _renamed(inside: Mapping[str, Any], request_ids: RequestIds) -> dict[str, Any]:
    """The same with the request's id, also in each node of `progress_state`."""
    shown = dict(inside)
    if isinstance(prompt_id := shown.get("prompt_id"), str):
        shown["prompt_id"] = request_ids.shown(prompt_id)
    if isinstance(nodes := shown.get("nodes"), Mapping):
        shown["nodes"] = {
            node_id: _renamed(node, request_ids) if isinstance(node, Mapping) else node
            for node_id, node in nodes.items()
        }
    return shown


def _with_depth(inside: Mapping[str, Any], depth: int) -> dict[str, Any]:
    status = inside.get("status")
    status = status if isinstance(status, Mapping) else {}
    info = status.get("exec_info")
    info = info if isinstance(info, Mapping) else {}
    return {**inside, "status": {**status, "exec_info": {**info, "queue_remaining": depth}}}
