"""The native API as one router under /v1."""

from fastapi import APIRouter

from comfyserve.apis.native import assets, deployments, events, keys, machines, runs, session, workflows
from comfyserve.apis.native.shapes import ERRORS

PREFIX = "/v1"


def native_router() -> APIRouter:
    """All native routes; those of runs come first, they are called most."""
    router = APIRouter(prefix=PREFIX, responses=ERRORS)
    for part in (runs, events, deployments, workflows, assets, machines, keys, session):
        router.include_router(part.router)
    return router
