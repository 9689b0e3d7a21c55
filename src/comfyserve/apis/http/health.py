"""What probes ask."""

from fastapi import APIRouter, Request

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.bundle import context_of

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> Json:
    """The process answers."""
    return Json({"status": "ok"})


@router.get("/ready", responses={503: {"description": "Runs would not be executed now; `error` says why."}})
async def ready(request: Request) -> Json:
    """Whether a run that is submitted now would be executed."""
    state = await context_of(request).options.ready()
    return Json({"ready": state.ready, **state.facts}, 200 if state.ready else 503)
