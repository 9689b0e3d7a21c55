"""The reader of server-sent events."""

from collections.abc import AsyncIterator

import pytest

from comfyserve.client import Event
from comfyserve.client.events import read_events


async def _lines(text: str) -> AsyncIterator[str]:
    for line in text.split("\n"):
        yield line


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ('id: 7\nevent: started\ndata: {"a": 1}\n\n', [Event("started", {"a": 1}, "7")]),
        ("data:1\n\ndata: 2\n\n", [Event("message", 1), Event("message", 2)]),
        (": keepalive\n\nevent: progress\ndata: 0.5\n\n", [Event("progress", 0.5)]),
        ("data: [1,\ndata: 2]\n\n", [Event("message", [1, 2])]),
        ("id: 7\ndata: 1\n\ndata: 2\n\n", [Event("message", 1, "7"), Event("message", 2)]),
        ("event: nothing\n\n", []),
        ("event: unfinished\ndata: 1", []),
        ("retry: 5\nunknown: x\nnovalue\ndata: 1\n\n", [Event("message", 1)]),
    ],
)
async def test_events_are_read(text: str, events: list[Event]) -> None:
    assert [event async for event in read_events(_lines(text))] == events
