"""GET /prompt/{id}/events: what happens to a prompt, as it happens (Server-Sent Events), to be resumed at any time."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from comfyserve.apis.http.bundle import context_of
from comfyserve.apis.http.events import EventStream, last_seen, message, primed, stream
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.http.run_events import run_messages
from comfyserve.apis.stateless.options import SignedIn
from comfyserve.apis.stateless.runs import UNKNOWN, RequestId, state_of
from comfyserve.core.limits import MAX_NUMBER

router = APIRouter(tags=["prompts"], route_class=ApiRoute)

SSE = "text/event-stream"
LAST = "prompt"
"""The last message: the prompt as GET /prompt/{id} shows it."""

After = Annotated[int | None, Query(ge=0, le=MAX_NUMBER, description="Events after this number; 0 for all.")]


@router.get(
    "/prompt/{request_id:path}/events",
    summary="Watch Prompt",
    response_class=Response,
    responses={200: {"content": {SSE: {}}, "description": "Events until the prompt has ended."}, **UNKNOWN},
)
async def watch_prompt(request: Request, caller: SignedIn, request_id: RequestId, after: After = None) -> EventStream:
    """Its events so far and to come, with progress, previews and downloads between them. Last-Event-ID resumes."""
    context = context_of(request)
    services = context.services
    run = await services.runs.named(caller, request_id)

    async def last() -> bytes:
        return message(LAST, await state_of(request, caller, request_id, run))

    with context.slots.for_stream() as slot:
        events = run_messages(services.watch, caller, run.id, last_seen(request, after), last)
        return stream(await primed(events), slot, keepalive=context.options.keepalive_seconds)
