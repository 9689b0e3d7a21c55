"""The reader of server-sent events."""

from collections.abc import AsyncIterator

import pytest

from comfyserve.client import Event
from comfyserve.client.events import read_events, read_lines


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


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_only_line_ends_end_a_line(size: int, end: str) -> None:
    words = "one\u2028two\u0085three\x0bfour\u2029"
    sent = f'event: output{end}data: "{words}"{end}{end}: bye{end}'.encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), size):
            yield sent[start : start + size]

    assert [line async for line in read_lines(pieces())] == ["event: output", f'data: "{words}"', "", ": bye"]


async def test_a_lone_cr_ends_a_line_too() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"data: 1\r", b"\rdata", b": 2\r\n", b"\n"):
            yield piece

    assert [line async for line in read_lines(pieces())] == ["data: 1", "", "data: 2", ""]
