"""The events of a run, as a list and as a stream that can be resumed."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from comfyserve.apis.http.answers import Json, Timestamp, iso
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import Context, context_of
from comfyserve.apis.http.events import EventStream, last_seen, message, primed, stream
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.native.runs import run_shape
from comfyserve.apis.native.shapes import DEFAULT_LIMIT, Limit, Listed, Shape
from comfyserve.core.limits import MAX_NUMBER
from comfyserve.core.runs import FINAL, Status
from comfyserve.services.records import Caller, EventView
from comfyserve.services.watch import Downloading, Preview, Progress, Watched

router = APIRouter(tags=["runs"], route_class=ApiRoute)

After = Annotated[int | None, Query(ge=0, le=MAX_NUMBER, description="Events after this `seq`.")]
SSE = "text/event-stream"


class Event(Shape):
    """One durable fact of a run's ledger."""

    seq: int
    kind: str
    at: Timestamp
    attempt_id: str | None
    status: Status
    data: dict[str, Any]


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


async def _messages(context: Context, caller: Caller, run_id: str, after: int) -> AsyncGenerator[bytes, None]:
    async with aclosing(context.services.watch.stream(caller, run_id, after)) as batches:
        async for events in batches:
            part = b"".join(told(event) for event in events)
            last = events[-1]
            if isinstance(last, EventView) and last.status in FINAL:
                yield part + message("run", run_shape(await context.services.runs.get(caller, run_id)))
                return
            yield part
    yield message("run", run_shape(await context.services.runs.get(caller, run_id)))


@router.get(
    "/runs/{run_id}/events",
    response_model=Listed[Event],
    responses={200: {"content": {SSE: {}}, "description": "A page of events, or a stream of them (Accept)."}},
)
async def run_events(
    request: Request, caller: SignedIn, run_id: str, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """Accept: text/event-stream streams until the run has ended, from Last-Event-ID on; otherwise a page as JSON."""
    if SSE in request.headers.get("accept", ""):
        return await _event_stream(request, caller, run_id, last_seen(request, after))
    return await _event_page(request, caller, run_id, after or 0, limit)


async def _event_stream(request: Request, caller: Caller, run_id: str, after: int) -> EventStream:
    context = context_of(request)
    with context.slots.for_stream() as slot:
        messages = await primed(_messages(context, caller, run_id, after))
        return stream(messages, slot, keepalive=context.options.keepalive_seconds)


async def _event_page(request: Request, caller: Caller, run_id: str, after: int, limit: int) -> Json:
    page = await context_of(request).services.watch.events(caller, run_id, after=after, limit=limit)
    return Json({"items": [event_data(one) for one in page.items], "next_cursor": page.next_cursor})
