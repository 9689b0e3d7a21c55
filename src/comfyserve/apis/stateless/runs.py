"""What comfyui-api lacks: a prompt by its request id, its result, and the end of it before its time.

A request id may hold slashes, so the longer paths are declared first: they win.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from comfyserve.apis.http.answers import Timestamp
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.stateless.answer import result_answer, typed_outputs
from comfyserve.apis.stateless.bodies import JsonAnswer
from comfyserve.apis.stateless.errors import run_failure
from comfyserve.apis.stateless.links import origin_of
from comfyserve.apis.stateless.options import SignedIn
from comfyserve.apis.stateless.stats import stats_of
from comfyserve.core.errors import Conflict
from comfyserve.core.runs import FINAL, Status
from comfyserve.services.postings import Snapshot
from comfyserve.services.records import Caller, RunView
from comfyserve.services.watch import Progress

router = APIRouter(tags=["prompts"], route_class=ApiRoute)

RequestId = Annotated[str, Path(description="The `id` of the request, yours or the one that was answered.")]
Word = Literal["queued", "running", "completed", "failed", "interrupted"]

WORDS: dict[Status, Word] = {
    Status.QUEUED: "queued",
    Status.STARTING: "running",
    Status.RUNNING: "running",
    Status.COLLECTING: "running",
    Status.SUCCESS: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "interrupted",
    Status.TIMEOUT: "failed",
}
"""What a status is called here."""

UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"description": "This instance does not know the request id; another one may."}
}
UNFINISHED = "The prompt has not ended: it is {word}. Ask again later, or read its events."


def absent(value: object) -> bool:
    """Whether a field is left out."""
    return value is None


class ProgressShape(BaseModel):
    """How far the engine is: of the whole prompt as a fraction, and at the node that it is at."""

    fraction: float
    node_id: str
    value: float
    maximum: float


class PromptState(BaseModel):
    """A prompt as it is now. Files of outputs have a signed `url` for a while; `error` is the body that a synchronous
    call was or would have been answered with."""

    id: str
    status: Word
    queue_position: int | None = Field(None, exclude_if=absent, description="How many prompts are before this one.")
    progress: ProgressShape | None = Field(None, exclude_if=absent)
    created_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    outputs: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    error: dict[str, Any] | None = Field(None, exclude_if=absent)
    stats: dict[str, Any] | None = Field(None, exclude_if=absent)


@router.get("/prompt/{request_id:path}/result", summary="Get Result", responses=UNKNOWN)
async def get_result(request: Request, caller: SignedIn, request_id: RequestId) -> Response:
    """The answer of a synchronous call. 409 while the prompt has not ended; its own error when it did not succeed."""
    services = services_of(request)
    run = await services.runs.named(caller, request_id)
    if run.status not in FINAL:
        raise Conflict(UNFINISHED.format(word=WORDS[run.status]))
    told = await services.runs.told(caller, run.id)
    return await result_answer(told, services.files, origin_of(request))


@router.post("/prompt/{request_id:path}/cancel", summary="Cancel Prompt", response_model=PromptState, responses=UNKNOWN)
async def cancel_prompt(request: Request, caller: SignedIn, request_id: RequestId) -> JsonAnswer:
    """Stop a prompt, also one that waits; one that has ended stays as it is."""
    return JsonAnswer(await _cancelled(request, caller, request_id))


@router.delete("/prompt/{request_id:path}", summary="Cancel Prompt", response_model=PromptState, responses=UNKNOWN)
async def delete_prompt(request: Request, caller: SignedIn, request_id: RequestId) -> JsonAnswer:
    """The same as its `/cancel`."""
    return JsonAnswer(await _cancelled(request, caller, request_id))


@router.get("/prompt/{request_id:path}", summary="Get Prompt", response_model=PromptState, responses=UNKNOWN)
async def get_prompt(request: Request, caller: SignedIn, request_id: RequestId) -> JsonAnswer:
    """How a prompt is, with what it gave."""
    run = await services_of(request).runs.named(caller, request_id)
    return JsonAnswer(await state_of(request, caller, request_id, run))


async def state_of(request: Request, caller: Caller, request_id: str, run: RunView) -> PromptState:
    """The state of the run that is known by this request id."""
    services = services_of(request)
    told = await services.runs.told(caller, run.id)
    progress = services.watch.progress(told.run)
    return state_shape(request_id, told, run.queue_position, progress, origin_of(request))


def state_shape(
    request_id: str, told: Snapshot, position: int | None, progress: Progress | None, origin: str
) -> PromptState:
    """The wire shape of a prompt; links lead to `origin` if there is one."""
    run = told.run
    failed = run.status in FINAL and run.status is not Status.SUCCESS
    return PromptState.model_construct(
        id=request_id,
        status=WORDS[run.status],
        queue_position=position if run.status is Status.QUEUED else None,
        progress=progress and _progress_shape(progress),
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        outputs=typed_outputs(told, origin),
        warnings=[dict(one) for one in run.warnings],
        error=run_failure(told)[1] if failed else None,
        stats=stats_of(told) if run.status in FINAL else None,
    )


def _progress_shape(progress: Progress) -> ProgressShape:
    return ProgressShape.model_construct(
        fraction=progress.fraction, node_id=progress.node_id, value=progress.value, maximum=progress.maximum
    )


async def _cancelled(request: Request, caller: Caller, request_id: str) -> PromptState:
    services = services_of(request)
    run = await services.runs.named(caller, request_id)
    if run.status not in FINAL:
        run = await services.cancel.cancel(caller, run.id)
    return await state_of(request, caller, request_id, run)
