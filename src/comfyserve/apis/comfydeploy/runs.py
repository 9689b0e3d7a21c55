"""Runs: queue, sync, stream, read, cancel (section 3.1)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from comfyserve.apis.comfydeploy.auth import TokenHolder
from comfyserve.apis.comfydeploy.outputs import Labels, has_labels, labels_of, run_outputs
from comfyserve.apis.comfydeploy.run_shapes import (
    AnyRunRequest,
    DeploymentRunRequest,
    RunCreated,
    WorkflowRunRequest,
    created,
    run_object,
    submit_of,
)
from comfyserve.apis.comfydeploy.statuses import STATUS
from comfyserve.apis.comfydeploy.stream import Story, opening
from comfyserve.apis.comfydeploy.wording import DEPLOYMENT, FOREIGN_RUN, MACHINE, RUN, VERSION, WORKFLOW, missing
from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.bundle import Context, context_of, services_of
from comfyserve.apis.http.events import EventStream, message, stream, unless_closed, unless_gone
from comfyserve.apis.http.routing import SpooledRoute, spooled_of
from comfyserve.core.errors import Forbidden, NotFound
from comfyserve.services.records import Caller, RunView

router = APIRouter(tags=["comfydeploy: runs"], route_class=SpooledRoute)

AnyRun = DeploymentRunRequest | WorkflowRunRequest | AnyRunRequest
CANCELLED = {"status": "success", "message": "Function cancelled"}
CLIENT_GONE = 499

WithPosition = Annotated[bool, Query(alias="queue_position")]


@router.post("/run/deployment/queue", response_model=RunCreated)
async def queue_deployment_run(request: Request, caller: TokenHolder, body: DeploymentRunRequest) -> Json:
    """Queue a run of a deployment."""
    return Json(created(await _submitted(request, caller, body)))


@router.post("/run/deployment/sync")
async def sync_deployment_run(request: Request, caller: TokenHolder, body: DeploymentRunRequest) -> Response:
    """Run a deployment and wait for its outputs."""
    return await _synced(request, caller, body)


@router.post("/run/deployment/stream")
async def stream_deployment_run(request: Request, caller: TokenHolder, body: DeploymentRunRequest) -> EventStream:
    """Run a deployment and stream what happens."""
    return await _streamed(request, caller, body)


@router.post("/run/workflow/queue", response_model=RunCreated)
async def queue_workflow_run(request: Request, caller: TokenHolder, body: WorkflowRunRequest) -> Json:
    """Queue a run of a graph."""
    return Json(created(await _submitted(request, caller, body)))


@router.post("/run/workflow/sync")
async def sync_workflow_run(request: Request, caller: TokenHolder, body: WorkflowRunRequest) -> Response:
    """Run a graph and wait for its outputs."""
    return await _synced(request, caller, body)


@router.post("/run/workflow/stream")
async def stream_workflow_run(request: Request, caller: TokenHolder, body: WorkflowRunRequest) -> EventStream:
    """Run a graph and stream what happens."""
    return await _streamed(request, caller, body)


@router.post("/run", response_model=RunCreated)
@router.post("/run/queue", response_model=RunCreated, include_in_schema=False)
async def queue_run(request: Request, caller: TokenHolder, body: AnyRunRequest) -> Json:
    """Queue a run of whatever the body names."""
    return Json(created(await _submitted(request, caller, body)))


@router.post("/run/sync", include_in_schema=False)
async def sync_run(request: Request, caller: TokenHolder, body: AnyRunRequest) -> Response:
    """Run whatever the body names and wait for its outputs."""
    return await _synced(request, caller, body)


@router.post("/run/stream", include_in_schema=False)
async def stream_run(request: Request, caller: TokenHolder, body: AnyRunRequest) -> EventStream:
    """Run whatever the body names and stream what happens."""
    return await _streamed(request, caller, body)


@router.get("/run/{run_id}")
async def get_run(request: Request, caller: TokenHolder, run_id: UUID, with_position: WithPosition = False) -> Json:
    """One run with its outputs."""
    return Json(await _shown(context_of(request), caller, str(run_id), with_position))


@router.get("/run")
async def get_run_by_query(
    request: Request, caller: TokenHolder, run_id: UUID, with_position: WithPosition = False
) -> Json:
    """One run with its outputs, as V1 clients ask for it."""
    return Json(await _shown(context_of(request), caller, str(run_id), with_position))


@router.post("/run/{run_id}/cancel")
async def cancel_run(request: Request, caller: TokenHolder, run_id: UUID) -> Json:
    """Stop a run; one that has ended stays as it is, with the same answer."""
    with missing(RUN):
        await services_of(request).cancel.cancel(caller, str(run_id))
    return Json(CANCELLED)


async def _submitted(request: Request, caller: Caller, body: AnyRun) -> RunView:
    """The queued run, with the sentences that their clients know for what is missing."""
    wish = replace(submit_of(body), spooled=spooled_of(request))
    services = services_of(request)
    workflow_id = getattr(body, "workflow_id", None)
    if wish.graph is not None and workflow_id is not None:
        with missing(WORKFLOW):
            await services.workflows.get(caller, str(workflow_id))
    with missing(DEPLOYMENT if wish.deployment else VERSION if wish.version_id else MACHINE):
        return await services.submit.submit(caller, wish)


async def _synced(request: Request, caller: Caller, body: AnyRun) -> Response:
    """The outputs when the run has ended, or what there is after the longest wait or when the server stops; the
    headers tell which."""
    context = context_of(request)
    with context.slots.one():
        queued = await _submitted(request, caller, body)
        run = await unless_gone(request, _ended(context, caller, queued.id))
    if run is None:
        return Response(status_code=CLIENT_GONE)
    outputs = run_outputs(run.id, run.outputs, await _labels(context, caller, run))
    return Json(outputs, headers={"x-run-id": run.id, "x-run-status": STATUS[run.status]})


async def _ended(context: Context, caller: Caller, run_id: str) -> RunView:
    waiting = context.services.watch.wait(caller, run_id, context.options.sync_seconds)
    return await unless_closed(context.slots, waiting) or await context.services.runs.get(caller, run_id)


async def _streamed(request: Request, caller: Caller, body: AnyRun) -> EventStream:
    context = context_of(request)
    with context.slots.for_stream() as slot:
        run = await _submitted(request, caller, body)
        messages = _messages(context, caller, run, await _version_labels(context, caller, run))
        return stream(messages, slot, keepalive=context.options.keepalive_seconds, headers={"x-run-id": run.id})


async def _messages(context: Context, caller: Caller, run: RunView, labels: Labels) -> AsyncGenerator[bytes, None]:
    story = Story(run.id, labels)
    yield b"".join(message(name, data) for name, data in opening(run.id))
    async with aclosing(context.services.watch.stream(caller, run.id, 0)) as batches:
        async for events in batches:
            messages = [message(name, data) for event in events for name, data in story.told(event)]
            if messages:
                yield b"".join(messages)


async def _shown(context: Context, caller: Caller, run_id: str, with_position: bool) -> dict[str, Any]:
    runs = context.services.runs
    try:
        run = await runs.get(caller, run_id)
    except NotFound as error:
        if await runs.exists(run_id):
            raise Forbidden(FOREIGN_RUN) from error
        raise NotFound(RUN) from error
    return run_object(run, labels=await _labels(context, caller, run), queue_position=with_position)


async def _labels(context: Context, caller: Caller, run: RunView) -> Labels:
    """The labels of the run's outputs; the graph is read only when one of them can have a label."""
    return await _version_labels(context, caller, run) if has_labels(run.outputs) else {}


async def _version_labels(context: Context, caller: Caller, run: RunView) -> Labels:
    if run.version_id is None:
        return {}
    try:
        version = await context.services.workflows.version_by_id(caller, run.version_id)
    except NotFound:
        return {}
    return labels_of(version.graph)
