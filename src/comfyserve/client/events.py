"""Server-sent events of a run (WHATWG HTML, section 9.2), read from a stream of lines."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

LAST = "run"
"""The kind of the event that ends a run's stream; its data is the finished run."""

LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A CR at the end of a piece waits for the next one, which may begin with its LF."""


@dataclass(frozen=True)
class Event:
    """One event of a run; `id` is the cursor to resume after, None for progress, downloads and previews."""

    kind: str
    data: Any
    id: str | None = None


async def read_lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    """The whole lines of a stream: only CR, LF and CRLF end one, whatever else Unicode calls a line's end."""
    kept = b""
    async for piece in pieces:
        *lines, kept = LINE_END.split(kept + piece)
        for line in lines:
            yield line.decode(errors="replace")


async def read_events(lines: AsyncIterator[str]) -> AsyncGenerator[Event]:
    """Events as their closing blank lines arrive, up to `run`; comments and unfinished ones are dropped."""
    kind, event_id = "message", None
    data: list[str] = []
    async for line in lines:
        if not line:
            if data:
                yield Event(kind, json.loads("\n".join(data)), event_id)
            if kind == LAST:
                return
            kind, data, event_id = "message", [], None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                kind = value
            case "data":
                data.append(value)
            case "id":
                event_id = value
