"""The ComfyDeploy dialect as one router under /api."""

from typing import Any

from fastapi import APIRouter

from comfyserve.apis.comfydeploy import deployments, files, machines, runs, workflows
from comfyserve.apis.comfydeploy.errors import UPLOAD_PATH, face
from comfyserve.apis.comfydeploy.run_shapes import DIALECT
from comfyserve.apis.comfydeploy.webhook import post
from comfyserve.apis.http.openapi import below
from comfyserve.apis.http.wire import WireApi

PREFIX = "/api"
ALIASES = frozenset(
    {
        "run",
        "workflow",
        "workflows",
        "workflow-version",
        "deployment",
        "deployments",
        "machine",
        "machines",
        "file",
    }
)
"""First segments that are also answered without the prefix, for base URLs that lack it (section 1.1)."""


def comfydeploy_router() -> APIRouter:
    """All routes of the dialect; those of runs come first, they are called most."""
    router = APIRouter(prefix=PREFIX)
    for part in (runs, deployments, workflows, machines, files):
        router.include_router(part.router)
    return router


def comfydeploy_document(document: dict[str, Any]) -> dict[str, Any]:
    """The dialect's own OpenAPI document, with the title and the version that its tools look for."""
    return below(document, PREFIX, title="ComfyDeploy API", version="V2")


API = WireApi(
    name=DIALECT,
    prefix=PREFIX,
    router=comfydeploy_router,
    face=face,
    webhooks={DIALECT: post},
    upload_paths=frozenset({UPLOAD_PATH}),
    aliases=ALIASES,
    documents={f"{PREFIX}/openapi.json": comfydeploy_document},
)
"""The dialect, as the app is built of it."""
