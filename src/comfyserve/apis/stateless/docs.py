"""/docs: the description of this API as a page, as JSON and as YAML (stateless-comfyui-api.md section 1.8). The page
brings its own files; no other host is asked."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from comfyserve.apis.http.answers import to_json
from comfyserve.apis.http.docs import ASSETS, docs_page, start_script
from comfyserve.apis.http.errors import unknown_route
from comfyserve.apis.http.openapi import Document
from comfyserve.apis.stateless.options import StatelessOptions, stateless_of
from comfyserve.apis.stateless.workflow_routes import operations

router = APIRouter(include_in_schema=False)

TITLE = "ComfyUI API"
STATIC = "/docs/static"
INITIALIZER = "swagger-initializer.js"
SHIPPED = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
JSON = "application/json; charset=utf-8"
YAML = "application/x-yaml"
NOT_ANSWERED = frozenset({"HTTPValidationError", "ValidationError"})
ASSET_HEADERS = {"cache-control": "public, max-age=86400"}


@router.get("/docs")
@router.get("/docs/")
async def page() -> Response:
    """Swagger UI."""
    return docs_page(TITLE, STATIC, f"{STATIC}/{INITIALIZER}")


@router.get("/docs/json")
@router.get("/openapi.json")
async def as_json(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(await _rendered(request, JSON, to_json), media_type=JSON)


@router.get("/docs/yaml")
async def as_yaml(request: Request) -> Response:
    """The OpenAPI document, for people."""
    return Response(await _rendered(request, YAML, _to_yaml), media_type=YAML)


@router.get(STATIC + "/{name}")
async def static(request: Request, name: str) -> Response:
    """A file of the page."""
    if name == INITIALIZER:
        return start_script("/docs/json")
    if name not in SHIPPED:
        raise unknown_route(request.scope)
    return FileResponse(Path(ASSETS) / name, media_type=SHIPPED[name], headers=ASSET_HEADERS)


def stateless_document(document: Document, options: StatelessOptions) -> Document:
    """The document of the app as that of this API: its title, its server, the custom workflows, and no word of keys
    when none is needed."""
    shown: Document = {
        **document,
        "info": {"title": TITLE, "version": options.version},
        "servers": [_server(options.port)],
        "paths": {**_own_paths(document), **operations(options.workflows)},
    }
    components = dict(document.get("components", {}))
    components["schemas"] = {k: v for k, v in components.get("schemas", {}).items() if k not in NOT_ANSWERED}
    shown["components"] = components
    if not options.keyed:
        shown.pop("security", None)
        components.pop("securitySchemes", None)
    return shown


def _server(port: int) -> dict[str, Any]:
    domain = {
        "default": f"http://localhost:{port}",
        "description": "The domain name of the server, protocol included, port optional",
    }
    return {"url": "{accessDomainName}", "description": "Your server", "variables": {"accessDomainName": domain}}


def _own_paths(document: Document) -> dict[str, Any]:
    """The routes of the app; that of the custom workflows gives way to one for each of them."""
    paths = document["paths"].items()
    return {path: _own_answers(item) for path, item in paths if not path.startswith("/workflow/")}


def _own_answers(item: Mapping[str, Any]) -> dict[str, Any]:
    """The operations of a path without the framework's own answer to wrong shapes: here that is a 400."""
    return {
        method: {**operation, "responses": {k: v for k, v in operation["responses"].items() if k != "422"}}
        for method, operation in item.items()
    }


async def _rendered(request: Request, form: str, render: Callable[[Document], bytes]) -> bytes:
    """The document in a form, made anew when the custom workflows have changed."""
    app, options = request.app, stateless_of(request)
    workflows = operations(options.workflows)
    if not hasattr(app.state, "documents"):
        app.state.documents = {}
    kept: dict[str, tuple[dict[str, Any], bytes]] = app.state.documents
    if form not in kept or kept[form][0] != workflows:
        # Making it takes a while, and nobody else should wait.
        text = await asyncio.to_thread(lambda: render(stateless_document(app.openapi(), options)))
        kept[form] = (workflows, text)
    return kept[form][1]


def _to_yaml(document: Document) -> bytes:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text.encode()
