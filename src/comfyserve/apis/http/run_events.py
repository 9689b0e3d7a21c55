"""What happens to a run, as messages of an event stream: the same ones in each wire API that is free to choose."""

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from comfyserve.apis.http.answers import iso
from comfyserve.apis.http.events import message
from comfyserve.core.runs import FINAL
from comfyserve.services.records import Caller, EventView
from comfyserve.services.watch import Downloading, Preview, Progress, Watch, Watched


def event_data(view: EventView) -> dict[str, Any]:
    """The wire form of an event, as plain values."""
    return {
        "seq": view.seq,
        "kind": view.kind,
        "at": iso(view.at),
        "attempt_id": view.attempt_id,
        "status": view.status.value,
        "data": dict(view.data),
    }


def preview_data(view: Preview) -> dict[str, Any]:
    """The wire form of a preview picture."""
    return {"mime": view.mime, "image": base64.b64encode(view.image).decode(), "node_id": view.node_id}


def progress_data(view: Progress) -> dict[str, Any]:
    """The wire form of progress; `fraction` is of the whole run, 0..1."""
    return {"node_id": view.node_id, "value": view.value, "maximum": view.maximum, "fraction": view.fraction}


def download_data(view: Downloading) -> dict[str, Any]:
    """The wire form of a file on its way: bytes so far, and of how many when that is known."""
    return {"label": view.label, "name": view.name, "received": view.received, "total": view.total}


def told(event: Watched) -> bytes:
    """One message of the stream; only durable events have an id to resume from."""
    match event:
        case EventView():
            return message(event.kind, event_data(event), seq=event.seq)
        case Progress():
            return message("progress", progress_data(event))
        case Downloading():
            return message("download", download_data(event))
        case Preview():
            return message("preview", preview_data(event))


async def run_messages(
    watch: Watch, caller: Caller, run_id: str, after: int, last: Callable[[], Awaitable[bytes]]
) -> AsyncGenerator[bytes, None]:
    """The events after `after` with the live values between them, and `last` when the run has ended. Raises NotFound
    at the first step."""
    async with aclosing(watch.stream(caller, run_id, after)) as batches:
        async for events in batches:
            part = b"".join(told(event) for event in events)
            newest = events[-1]
            if isinstance(newest, EventView) and newest.status in FINAL:
                yield part + await last()
                return
            yield part
    yield await last()
