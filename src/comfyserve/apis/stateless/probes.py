"""What probes ask (stateless-comfyui-api.md sections 1.1 and 1.2). `reason` is ours: why the answer is no, or what is
missing although it is yes."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.stateless.bodies import JsonAnswer
from comfyserve.apis.stateless.options import stateless_of

router = APIRouter(tags=["probes"], route_class=ApiRoute)

STARTING = "The warm-up has not finished yet."


class Health(BaseModel):
    """Whether the first warm-up has finished."""

    version: str
    status: Literal["healthy", "not healthy"]
    reason: str | None = Field(None, description="Why it is not healthy; absent when it is.")


class Ready(BaseModel):
    """Whether work is taken now."""

    version: str
    status: Literal["ready", "not ready"]
    reason: str | None = Field(None, description="Why it is not ready, or what is missing although it is.")


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Health Probe", response_model=Health, responses={500: {"model": Health}})
async def health(request: Request) -> JsonAnswer:
    """200 once the first warm-up has finished, 500 before; it never turns back."""
    condition = await stateless_of(request).condition()
    reason = "" if condition.healthy else condition.reason or STARTING
    return _probed(request, "healthy", good=condition.healthy, reason=reason, otherwise=500)


@router.head("/ready", include_in_schema=False)
@router.get("/ready", summary="Readiness Probe", response_model=Ready, responses={503: {"model": Ready}})
async def ready(request: Request) -> JsonAnswer:
    """200 while a prompt that is sent now would be run soon, 503 otherwise."""
    condition = await stateless_of(request).condition()
    return _probed(request, "ready", good=condition.ready, reason=condition.reason, otherwise=503)


def _probed(request: Request, word: str, *, good: bool, reason: str, otherwise: int) -> JsonAnswer:
    told: dict[str, Any] = {"version": stateless_of(request).version, "status": word if good else f"not {word}"}
    if reason:
        told["reason"] = reason
    return JsonAnswer(told, 200 if good else otherwise)
