"""What became of finished prompts; bounded in number and in bytes (spec sections 3 and 10)."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

Record = dict[str, Any]

NO_OFFSET = -1


class History:
    """prompt id -> record, oldest first. Used by the event loop and by the worker thread."""

    def __init__(self, length: int, size: int) -> None:
        self._length = length
        self._size = size
        self._lock = threading.Lock()
        self._records: dict[str, tuple[int, Record]] = {}
        self._bytes = 0

    def add(self, prompt_id: str, record: Record, size: int) -> None:
        """Store a record of about `size` bytes; the oldest ones make room. The same id overwrites."""
        with self._lock:
            self._drop(prompt_id)
            self._records[prompt_id] = (size, record)
            self._bytes += size
            while len(self._records) > self._length or (self._bytes > self._size and len(self._records) > 1):
                self._drop(next(iter(self._records)))

    def get(self, prompt_id: str) -> dict[str, Record]:
        """{id: record}, or {} when there is none."""
        with self._lock:
            found = self._records.get(prompt_id)
            return {prompt_id: found[1]} if found else {}

    def page(self, max_items: int | None = None, offset: int = NO_OFFSET) -> dict[str, Record]:
        """The last max_items records; with an offset those from that index on, counted from the oldest."""
        with self._lock:
            items = [(key, value[1]) for key, value in self._records.items()]
        if offset < 0:
            offset = 0 if max_items is None else max(0, len(items) - max_items)
        end = len(items) if max_items is None else offset + max(0, max_items)
        return dict(items[offset:end])

    def delete(self, prompt_ids: Iterable[str]) -> None:
        """Forget these; unknown ids are ignored."""
        with self._lock:
            for prompt_id in prompt_ids:
                self._drop(prompt_id)

    def clear(self) -> None:
        with self._lock:
            self._records.clear()
            self._bytes = 0

    def _drop(self, prompt_id: str) -> None:
        found = self._records.pop(prompt_id, None)
        if found is not None:
            self._bytes -= found[0]
