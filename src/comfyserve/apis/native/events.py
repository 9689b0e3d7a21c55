"""The events of a run, as a list and as a stream that can be resumed."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from comfyserve.apis.http.answers import Json, Timestamp
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import context_of
from comfyserve.apis.http.events import EventStream, last_seen, message, primed, stream
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.http.run_events import event_data, run_messages
from comfyserve.apis.native.runs import run_shape
from comfyserve.apis.native.shapes import DEFAULT_LIMIT, Limit, Listed, Shape
from comfyserve.core.limits import MAX_NUMBER
from comfyserve.core.runs import Status
from comfyserve.services.records import Caller

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
    services = context.services

    async def last() -> bytes:
        return message("run", run_shape(await services.runs.get(caller, run_id)))

    with context.slots.for_stream() as slot:
        messages = await primed(run_messages(services.watch, caller, run_id, after, last))
        return stream(messages, slot, keepalive=context.options.keepalive_seconds)


async def _event_page(request: Request, caller: Caller, run_id: str, after: int, limit: int) -> Json:
    page = await context_of(request).services.watch.events(caller, run_id, after=after, limit=limit)
    return Json({"items": [event_data(one) for one in page.items], "next_cursor": page.next_cursor})
