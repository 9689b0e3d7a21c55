"""Progress, previews and downloads of one process: the last value of each kind, in memory only."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from comfyserve.ports import Downloading
from comfyserve.ports import LiveValue as Value

RUNS = 1_000
"""Runs whose last values are kept; the one that was told about longest ago goes first."""

KINDS = 100
"""Kinds of values that are kept of one run: progress, preview, and each file on its way."""

Kind = tuple[str, ...]


@dataclass(eq=False)
class _Watcher:
    """One reader: what it has not seen yet, by kind."""

    unseen: dict[Kind, Value]
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, value: Value) -> None:
        _keep(self.unseen, value)
        self.changed.set()


class LocalLive:
    """Implements ports.Live. A reader that comes late begins with the last values; a slow one misses the older ones."""

    def __init__(self, *, runs: int = RUNS) -> None:
        self._runs = runs
        self._last: OrderedDict[str, dict[Kind, Value]] = OrderedDict()
        self._watchers: dict[str, set[_Watcher]] = {}

    def put(self, run_id: str, event: Value) -> None:
        """Replace the last value of that kind."""
        _keep(self._last.setdefault(run_id, {}), event)
        self._last.move_to_end(run_id)
        while len(self._last) > self._runs:
            self._last.popitem(last=False)
        for watcher in self._watchers.get(run_id, ()):
            watcher.show(event)

    def drop(self, run_id: str) -> None:
        """Forget the values of a run, or of an attempt: readers stay, since the run may be tried again."""
        self._last.pop(run_id, None)

    def last(self, run_id: str) -> Sequence[Value]:
        """The last value of each kind."""
        return tuple(self._last.get(run_id, {}).values())

    @asynccontextmanager
    async def watch(self, run_id: str) -> AsyncIterator[AsyncIterator[Value]]:
        """The last values and those to come, the newest of each kind, as fast as the reader takes them."""
        watcher = _Watcher(dict(self._last.get(run_id, {})))
        self._watchers.setdefault(run_id, set()).add(watcher)
        try:
            yield _values(watcher)
        finally:
            self._leave(run_id, watcher)

    def _leave(self, run_id: str, watcher: _Watcher) -> None:
        watchers = self._watchers[run_id]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[run_id]


def _keep(values: dict[Kind, Value], value: Value) -> None:
    """Put a value in the place of the last one of its kind; the newest stands at the end."""
    kind = _kind(value)
    values.pop(kind, None)
    values[kind] = value
    while len(values) > KINDS:
        del values[next(iter(values))]


def _kind(value: Value) -> Kind:
    """Each file is a kind of its own: several may be on their way at once."""
    return ("download", value.label, value.name) if isinstance(value, Downloading) else (type(value).__name__,)


async def _values(watcher: _Watcher) -> AsyncIterator[Value]:
    while True:
        while watcher.unseen:
            yield watcher.unseen.pop(next(iter(watcher.unseen)))
        watcher.changed.clear()
        await watcher.changed.wait()
