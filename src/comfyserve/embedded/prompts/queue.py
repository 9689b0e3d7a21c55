"""The prompts that wait and the one that runs; used by the event loop and by the worker thread (spec section 3)."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from comfyserve.protocol.routes import SECRET_EXTRA_DATA


class QueueFull(Exception):
    """No room for another prompt; the text says which bound was hit."""


@dataclass(frozen=True, slots=True)
class QueuedPrompt:
    """A validated prompt. `size` is its length in bytes as it arrived."""

    number: float
    prompt_id: str
    graph: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: list[str]
    size: int = 0

    @property
    def client_id(self) -> str | None:
        client_id = self.extra_data.get("client_id")
        return None if client_id is None else str(client_id)

    def row(self, *, secrets: bool = True) -> list[Any]:
        """The five elements that /queue and the history publish."""
        extra = self.extra_data
        if not secrets:
            extra = {key: value for key, value in extra.items() if key not in SECRET_EXTRA_DATA}
        return [self.number, self.prompt_id, self.graph, extra, self.outputs]


class PromptQueue:
    """Smallest number first, one prompt runs at a time."""

    def __init__(self, length: int, size: int) -> None:
        self._length = length
        self._size = size
        self._changed = threading.Condition()
        self._heap: list[tuple[float, str, int, QueuedPrompt]] = []
        self._arrivals = itertools.count()
        self._bytes = 0
        self._running: QueuedPrompt | None = None
        self._stopped = False
        self._free = False
        self.interrupted = threading.Event()

    def put(self, prompt: QueuedPrompt, announce: Callable[[], None] = lambda: None) -> None:
        """Add a prompt; raises QueueFull. `announce` tells of it before the worker can say that it runs."""
        with self._changed:
            if len(self._heap) >= self._length:
                raise QueueFull(f"{self._length} prompts are waiting; try again later")
            if self._heap and self._bytes + prompt.size > self._size:
                raise QueueFull(f"the waiting prompts fill {self._size} bytes; try again later")
            heapq.heappush(self._heap, (prompt.number, prompt.prompt_id, next(self._arrivals), prompt))
            self._bytes += prompt.size
            announce()
            self._changed.notify()

    def take(self) -> QueuedPrompt | None:
        """Wait for the next prompt and make it the running one; None when there is something else to do."""
        with self._changed:
            while not self._heap and not self._stopped and not self._free:
                self._changed.wait()
            if self._stopped or self._free:
                return None
            prompt = heapq.heappop(self._heap)[3]
            self._bytes -= prompt.size
            self._running = prompt
            self.interrupted.clear()
            return prompt

    def finish(self) -> None:
        """The running prompt has ended."""
        with self._changed:
            self._running = None

    def stop(self) -> None:
        """Interrupt what runs and let take() answer None from now on."""
        with self._changed:
            self._stopped = True
            self.interrupted.set()
            self._changed.notify_all()

    def wait_stopped(self, seconds: float) -> None:
        """Let time pass, less when the queue is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)

    @property
    def stopped(self) -> bool:
        return self._stopped

    def wish_free(self) -> None:
        """Ask the worker to drop its cached results after the running prompt."""
        with self._changed:
            self._free = True
            self._changed.notify()

    def take_free_wish(self) -> bool:
        """Whether dropping was wished since the last call."""
        with self._changed:
            wished, self._free = self._free, False
            return wished

    def interrupt(self, prompt_id: str | None = None) -> None:
        """Interrupt what runs; with an id only if that prompt runs."""
        with self._changed:
            if prompt_id is None or (self._running is not None and self._running.prompt_id == prompt_id):
                self.interrupted.set()

    def delete(self, prompt_ids: Iterable[str]) -> int:
        """Remove one waiting prompt for each id and tell how many; unknown ids are ignored."""
        wanted = Counter(prompt_ids)
        with self._changed:
            kept, before = [], len(self._heap)
            for entry in self._heap:
                if wanted[entry[1]] > 0:
                    wanted[entry[1]] -= 1
                    self._bytes -= entry[3].size
                else:
                    kept.append(entry)
            self._heap = kept
            heapq.heapify(self._heap)
            return before - len(kept)

    def cancel(self, prompt_id: str) -> bool:
        """Remove the prompt if it waits, interrupt it if it runs; False when it does neither."""
        with self._changed:
            if self._running is not None and self._running.prompt_id == prompt_id:
                self.interrupted.set()
                return True
            return self._remove(prompt_id)

    def _remove(self, prompt_id: str) -> bool:
        index = next((i for i, entry in enumerate(self._heap) if entry[1] == prompt_id), None)
        if index is None:
            return False
        self._bytes -= self._heap.pop(index)[3].size
        heapq.heapify(self._heap)
        return True

    def clear(self) -> None:
        """Remove all waiting prompts."""
        with self._changed:
            self._heap.clear()
            self._bytes = 0

    def remaining(self) -> int:
        """How many prompts wait or run."""
        with self._changed:
            return len(self._heap) + (self._running is not None)

    def look(self) -> tuple[QueuedPrompt | None, list[QueuedPrompt]]:
        """The running prompt, and the waiting ones in the order of the heap, as ComfyUI shows them; of one moment."""
        with self._changed:
            return self._running, [entry[3] for entry in self._heap]
