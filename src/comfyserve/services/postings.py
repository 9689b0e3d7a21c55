"""What a dialect says in a webhook: who writes it gets the run as it was when the event happened."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from comfyserve.ports import Delivery
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
    """One call. `content` gives the bytes of the body anew at each call: once to sign it, once for each try. `id` goes
    into `webhook-id`; with `sign` the call is signed as Standard Webhooks asks, also without a secret."""

    content: Callable[[], AsyncIterator[bytes]]
    id: str
    sign: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


Render = Callable[[Delivery, Snapshot], Posting]
"""Writes the body of a delivery in one format."""
