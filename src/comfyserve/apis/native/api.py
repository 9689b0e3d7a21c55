"""The native API as one router under /v1."""

from fastapi import APIRouter

from comfyserve.apis.http.wire import WireApi
from comfyserve.apis.native import assets, deployments, events, graphs, keys, machines, runs, session, workflows
from comfyserve.apis.native.errors import face
from comfyserve.apis.native.shapes import ERRORS
from comfyserve.apis.native.webhook import post

PREFIX = "/v1"


def native_router() -> APIRouter:
    """All native routes; those of runs come first, they are called most."""
    router = APIRouter(prefix=PREFIX, responses=ERRORS)
    for part in (runs, events, deployments, workflows, graphs, assets, machines, keys, session):
        router.include_router(part.router)
    return router


API = WireApi(
    name="native",
    prefix=PREFIX,
    router=native_router,
    face=face,
    webhooks={"native": post},
    upload_paths=frozenset({assets.UPLOAD_PATH}),
)
"""The native API, as the app is built of it."""
