"""The dialect of comfyui-api, as one router. It is alone on its server: its paths are at the root."""

from fastapi import APIRouter

from comfyserve.apis.http.wire import WireApi
from comfyserve.apis.stateless import (
    docs,
    download,
    events,
    interrupt,
    models,
    probes,
    prompt,
    runs,
    workflow_routes,
)
from comfyserve.apis.stateless.errors import face
from comfyserve.apis.stateless.translate import DIALECT
from comfyserve.apis.stateless.webhooks import RENDERERS


def stateless_router() -> APIRouter:
    """All routes of the dialect; /prompt comes first, it is called most, and its longer paths before the
    shorter ones, since request ids may hold slashes."""
    router = APIRouter()
    for part in (prompt, events, runs, workflow_routes, interrupt, download, models, probes, docs):
        router.include_router(part.router)
    return router


STATELESS = WireApi(name=DIALECT, prefix="", router=stateless_router, face=face, webhooks=RENDERERS, alone=True)
"""The dialect, as the app is built of it."""
