"""POST /prompt: run a graph, and answer with its files or where they went (stateless-comfyui-api.md section 1.4)."""

import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from comfyserve.apis.http.bundle import Context, context_of
from comfyserve.apis.http.events import unless_closed, unless_gone
from comfyserve.apis.http.routing import SpooledRoute, let_spooled_go, spooled_of
from comfyserve.apis.stateless.answer import INPUT, accepted, result_answer
from comfyserve.apis.stateless.bodies import JsonAnswer, documented, in_shape, read_json
from comfyserve.apis.stateless.debugging import log_request
from comfyserve.apis.stateless.errors import (
    NO_OUTPUT,
    PromptRefused,
    StillRunning,
    Stopping,
    told_of,
)
from comfyserve.apis.stateless.links import origin_of
from comfyserve.apis.stateless.options import SignedIn, StatelessOptions, stateless_of
from comfyserve.apis.stateless.prefetches import prefetches_of
from comfyserve.apis.stateless.shapes import PromptBody, Wish
from comfyserve.apis.stateless.stats import RECEIVED
from comfyserve.apis.stateless.translate import (
    Policy,
    check_strict,
    graph_of,
    translate,
    without_unconfigured,
)
from comfyserve.apis.stateless.words import in_our_words
from comfyserve.core.catalogue import Catalogue
from comfyserve.core.graph import parse_graph
from comfyserve.core.runs import FINAL, Status
from comfyserve.services.records import Caller, RunView

router = APIRouter(route_class=SpooledRoute)

CLIENT_GONE = 499

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The result: the files in base64, or their addresses, with names, times and typed outputs."},
    202: {"description": "Accepted: the request as it was read. The result goes to the webhook or to the storage."},
    400: {"description": "The request or its graph is wrong: `error` says what, `location` where."},
}


@dataclass(frozen=True)
class Order:
    """A graph to run and what was wished for it. `given`: the body as it came; `memo` is kept beside what is kept of
    the request."""

    graph: Mapping[str, Any]
    wish: Wish
    given: Mapping[str, Any]
    memo: Mapping[str, Any]


@router.post("/prompt", summary="Submit Prompt", openapi_extra=documented(PromptBody), responses=RESPONSES)
async def submit_prompt(request: Request, caller: SignedIn) -> Response:
    """Run a graph of ComfyUI's API form. The answer is its result, or 202 where a webhook or `async` was asked for."""
    began, policy = time.time(), policy_of(stateless_of(request))
    given = await read_json(request)
    body = in_shape(without_unconfigured(given, policy), PromptBody)
    return await answered(request, caller, Order(graph_of(body), body, given, {RECEIVED: int(began * 1000)}))


def policy_of(options: StatelessOptions) -> Policy:
    """What the operator has decided of requests."""
    return Policy(options.uploads, options.strict, options.prepend_filenames)


async def answered(request: Request, caller: Caller, order: Order) -> Response:
    """Run a graph and answer. Raises DomainError."""
    options, context = stateless_of(request), context_of(request)
    policy = policy_of(options)
    check_strict(order.wish, policy)
    with told_of(order.graph), context.slots.one():
        asked = translate(order.graph, order.wish, str(uuid.uuid4()), policy)
        log_request(str(asked.request.idempotency_key), order.wish, asked.request.graph, order.memo.get(INPUT))
        wanted = replace(
            asked.request,
            memo={**asked.request.memo, **order.memo},
            asked={"path": request.scope["path"], "body": order.given},
            spooled=spooled_of(request),
        )

        async def prepare() -> None:
            if not asked.saves:
                await _check_outputs(context, caller, order.graph)
            if asked.is_async:
                bringing = options.prefetch(parse_graph(wanted.graph), wanted.options.credentials)
                await prefetches_of(request).bring(bringing, options.accept_seconds)

        needed = asked.is_async or not asked.saves
        with in_our_words(asked.request.memo["request"]):
            run = await context.services.submit.submit(caller, wanted, prepare=prepare if needed else None)
        await let_spooled_go(request)
        if not asked.is_async:
            return await _synced(request, caller, run)
    told = await context.services.runs.told(caller, run.id)
    return Response(accepted(told), 202, media_type=JsonAnswer.media_type)


async def _check_outputs(context: Context, caller: Caller, graph: Mapping[str, Any]) -> None:
    """Raise PromptRefused for a graph in which nothing is an output, also by what the engine says of its nodes."""
    _, catalogue = await context.services.machines.nodes(caller)
    if catalogue is not None and not any(_is_output(node, catalogue) for node in graph.values()):
        raise PromptRefused(NO_OUTPUT, "prompt")


def _is_output(node: Mapping[str, Any], catalogue: Catalogue) -> bool:
    """A class that the engine does not have is refused by its name, later."""
    known = catalogue.get(str(node["class_type"]))
    return known is None or bool(known.get("output_node"))


async def _synced(request: Request, caller: Caller, run: RunView) -> Response:
    """The result, when the run has ended; its work goes on when the caller leaves, unless the operator wants else."""
    context, options = context_of(request), stateless_of(request)
    ended = await unless_gone(request, _ended(context, caller, run.id, options.sync_seconds))
    if ended is None:
        if options.cancel_abandoned and not run.replayed:
            await context.services.cancel.cancel(caller, run.id)
        return Response(status_code=CLIENT_GONE)
    told = await context.services.runs.told(caller, run.id)
    return await result_answer(told, context.services.files, origin_of(request))


async def _ended(context: Context, caller: Caller, run_id: str, seconds: float) -> Status:
    waiting = context.services.watch.until_end(caller, run_id, seconds or math.inf)
    status = await unless_closed(context.slots, waiting)
    if status is None:
        raise Stopping("The server stops. The run goes on when it has started again: ask for its result by its id.")
    if status not in FINAL:
        raise StillRunning(f"The run has not ended within {seconds:g} s. It goes on: ask for its result by its id.")
    return status
