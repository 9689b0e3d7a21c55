"""What a dialect says in a webhook: who writes it gets the run as it was when the event happened."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from comfyserve.ports import Delivery
from comfyserve.services.files import Files
from comfyserve.services.records import EventView, Json, RunView


@dataclass(frozen=True)
class Snapshot:
    """A run at the moment of an event. `memo` is what its dialect kept of the request, `graph` what was queued."""

    run: RunView
    events: Sequence[EventView]
    graph: Json
    memo: Json


@dataclass(frozen=True)
class Posting:
    """One call. `content` gives the bytes of the body anew at each call, the same ones: to measure and sign it, and to
    send it. `id` goes into `webhook-id`. `signed`: whether the call is signed as Standard Webhooks asks; "always" is
    with an empty key where the server has no secret. `length`: the bytes of the body, where they are known beforehand,
    so that nobody reads it to measure it."""

    content: Callable[[], AsyncIterator[bytes]]
    id: str
    signed: Literal["always", "with_secret", "never"] = "with_secret"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


Render = Callable[[Delivery, Snapshot, Files], Posting]
"""Writes the body of a delivery in one format; the bytes of the run's files are read from `Files`."""


def json_posting(posting_id: str, body: Json) -> Posting:
    """A call with a small body in JSON."""
    text = json.dumps(body, separators=(",", ":")).encode()

    async def content() -> AsyncIterator[bytes]:
        yield text

    return Posting(content, posting_id)
