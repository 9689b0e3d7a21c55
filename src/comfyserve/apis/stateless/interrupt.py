"""POST /interrupt: stop a prompt by its request id (stateless-comfyui-api.md section 1.5)."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from comfyserve.apis.http.bundle import Services, services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.stateless.bodies import JsonAnswer, documented, read_body
from comfyserve.apis.stateless.options import SignedIn
from comfyserve.apis.stateless.shapes import Part
from comfyserve.core.errors import NotFound
from comfyserve.core.runs import FINAL, Status
from comfyserve.services.records import Caller

router = APIRouter(tags=["prompts"], route_class=ApiRoute)


class InterruptBody(Part):
    """Which prompt."""

    id: str


class Interrupted(BaseModel):
    """Whether it is, or will be, stopped."""

    id: str
    interrupted: Literal["success", "failed"]


@router.post(
    "/interrupt",
    summary="Interrupt Prompt",
    openapi_extra=documented(InterruptBody),
    response_model=Interrupted,
    responses={404: {"model": Interrupted}},
)
async def interrupt(request: Request, caller: SignedIn) -> JsonAnswer:
    """Stop a prompt that runs, or that waits in the queue. 404 for one that has ended, or that nobody knows."""
    body = await read_body(request, InterruptBody)
    stopped = await stop(services_of(request), caller, body.id)
    told = {"id": body.id, "interrupted": "success" if stopped else "failed"}
    return JsonAnswer(told, 200 if stopped else 404)


async def stop(services: Services, caller: Caller, request_id: str) -> bool:
    """Whether the run of this request id has been cancelled, or will be."""
    try:
        run = await services.runs.named(caller, request_id)
    except NotFound:
        return False
    if run.status in FINAL:
        return False
    after = await services.cancel.cancel(caller, run.id)
    return after.status not in FINAL or after.status is Status.CANCELLED
