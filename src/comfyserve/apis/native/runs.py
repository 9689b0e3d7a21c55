"""Runs: create, list, read, cancel."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import Field, model_validator

from comfyserve.apis.http.answers import Json, Timestamp
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import SpooledRoute, spooled_of
from comfyserve.apis.native.options import ConvertOutput, TargetShape, WithOptions, convert_shape, options_of
from comfyserve.apis.native.shapes import (
    DEFAULT_LIMIT,
    Cursor,
    Graph,
    Id,
    Limit,
    Listed,
    Shape,
    Values,
    absent,
    listed,
)
from comfyserve.core.limits import LEAST_PRIORITY, MAX_NAME, MAX_URL, MOST_PRIORITY
from comfyserve.core.runs import Status
from comfyserve.services.records import OutputView, RunFilter, RunView, SubmitRequest, WebhookWish

router = APIRouter(tags=["runs"], route_class=SpooledRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=MAX_NAME, description="The same key with the same body gives the same run again."),
]


class NewRun(WithOptions):
    """A run of a deployment, or of a graph that is not deployed."""

    deployment: Id | None = Field(None, description="Id or name of a deployment.")
    graph: Graph | None = None
    inputs: Values = Field(default_factory=dict)
    priority: int = Field(0, ge=LEAST_PRIORITY, le=MOST_PRIORITY)
    webhook: str | None = Field(None, max_length=MAX_URL)

    @model_validator(mode="after")
    def _one_of(self) -> "NewRun":
        if (self.deployment is None) == (self.graph is None):
            raise ValueError("give either `deployment` or `graph`")
        return self


class Output(Shape):
    """One output: a file, or a `value`. A file that went to the run's target has its `target_url`, and no `asset_id`
    once we do not keep it; `url` is where it can be had."""

    node_id: str
    class_type: str
    key: str
    index: int
    kind: str
    filename: str | None = Field(None, exclude_if=absent)
    subfolder: str | None = Field(None, exclude_if=absent)
    type: str | None = Field(None, exclude_if=absent)
    mime: str | None = Field(None, exclude_if=absent)
    size: int | None = Field(None, exclude_if=absent)
    sha256: str | None = Field(None, exclude_if=absent)
    asset_id: str | None = Field(None, exclude_if=absent)
    url: str | None = Field(None, exclude_if=absent)
    target_url: str | None = Field(None, exclude_if=absent)
    value: Any = Field(None, exclude_if=absent)


class RunError(Shape):
    """Why a run did not succeed."""

    code: str
    message: str
    place: dict[str, str] | None = Field(None, exclude_if=absent)
    details: dict[str, Any] | None = Field(None, exclude_if=absent)


class Seconds(Shape):
    """How long the phases took, as far as they are over."""

    queued: float | None
    running: float | None
    total: float | None


class Run(Shape):
    """One execution of a graph."""

    id: str
    status: Status
    deployment_id: str | None
    deployment_name: str | None
    workflow_id: str | None
    version: int | None
    machine_id: str
    inputs: dict[str, Any]
    priority: int
    attempts: int
    max_attempts: int
    queue_position: int | None = Field(description="How many runs are before this one; only while it is queued.")
    created_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    error: RunError | None
    outputs: list[Output]
    warnings: list[dict[str, Any]]
    convert_output: ConvertOutput | None = Field(None, exclude_if=absent)
    target: TargetShape | None = Field(None, exclude_if=absent)
    simulated: bool
    seconds: Seconds


def output_shape(view: OutputView) -> Output:
    """The wire shape of an output: file fields for a file, `value` for a value."""
    place: dict[str, Any] = {
        "node_id": view.node_id,
        "class_type": view.class_type,
        "key": view.key,
        "index": view.index,
        "kind": view.kind,
    }
    if view.url is None:
        return Output.model_construct(**place, value=view.value)
    return Output.model_construct(
        **place,
        filename=view.filename,
        subfolder=view.subfolder,
        type=view.type,
        mime=view.mime,
        size=view.size,
        sha256=view.sha256,
        asset_id=view.asset_id,
        url=view.url,
        target_url=view.target_url,
    )


def run_shape(view: RunView) -> Run:
    """The wire shape of a run."""
    seconds = Seconds.model_construct(
        queued=view.queued_seconds, running=view.running_seconds, total=view.total_seconds
    )
    return Run.model_construct(
        id=view.id,
        status=view.status,
        deployment_id=view.deployment_id,
        deployment_name=view.deployment_name,
        workflow_id=view.workflow_id,
        version=view.version,
        machine_id=view.machine_id,
        inputs=dict(view.inputs),
        priority=view.priority,
        attempts=view.attempts,
        max_attempts=view.max_attempts,
        queue_position=view.queue_position,
        created_at=view.created_at,
        started_at=view.started_at,
        ended_at=view.ended_at,
        error=None if view.error is None else RunError.model_construct(**view.error),
        outputs=[output_shape(one) for one in view.outputs],
        warnings=[dict(one) for one in view.warnings],
        convert_output=convert_shape(view.convert_output),
        target=None if view.target is None else TargetShape.model_construct(**view.target),
        simulated=view.simulated,
        seconds=seconds,
    )


def submit_of(body: NewRun, idempotency_key: str | None) -> SubmitRequest:
    """The wish that a body expresses: unknown inputs are refused, seeds stay as they are."""
    return SubmitRequest(
        deployment=body.deployment,
        graph=body.graph,
        inputs=body.inputs,
        priority=body.priority,
        webhooks=(WebhookWish(body.webhook, "native"),) if body.webhook is not None else (),
        idempotency_key=idempotency_key,
        options=options_of(body),
    )


@router.post("/runs", status_code=201, response_model=Run, responses={200: {"model": Run, "description": "Replayed"}})
async def create_run(request: Request, caller: SignedIn, body: NewRun, idempotency_key: IdempotencyKey = None) -> Json:
    """Queue a run. 200 when the idempotency key was seen with the same body, 409 when with another one."""
    services = services_of(request)
    wish = replace(submit_of(body, idempotency_key), spooled=spooled_of(request))
    run = await services.runs.placed(await services.submit.submit(caller, wish))
    return Json(run_shape(run), 200 if run.replayed else 201)


@router.get("/runs", response_model=Listed[Run])
async def list_runs(
    request: Request,
    caller: SignedIn,
    deployment: Annotated[str | None, Query(max_length=MAX_NAME)] = None,
    status: Status | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Json:
    """The runs, newest first; of its outputs each shows one: its first picture, or else its first file."""
    wanted = RunFilter(deployment=deployment, status=status)
    page = await services_of(request).runs.list(caller, wanted, limit=limit, cursor=cursor)
    return listed(page, run_shape)


@router.get("/runs/{run_id}", response_model=Run)
async def get_run(request: Request, caller: SignedIn, run_id: str) -> Json:
    """One run with its outputs."""
    return Json(run_shape(await services_of(request).runs.get(caller, run_id)))


@router.post("/runs/{run_id}/cancel", response_model=Run)
async def cancel_run(request: Request, caller: SignedIn, run_id: str) -> Json:
    """Ask for the run to stop; a run that has ended stays as it is."""
    return Json(run_shape(await services_of(request).cancel.cancel(caller, run_id)))
