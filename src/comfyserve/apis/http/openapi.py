"""GET /openapi.json: every wire API in one document, with how to sign in. Other documents are parts of it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from comfyserve.apis.http.answers import to_json

SECURITY = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `comfyserve key create`."},
}
PUBLIC = frozenset({"/health", "/ready", "/files/{asset_id}/{filename}", "/v1/session"})
"""Paths that need no key (signing out does, and says so)."""

Document = dict[str, Any]


def describe(app: FastAPI, parts: Mapping[str, Callable[[Document], Document]]) -> None:
    """Add `/openapi.json`, and for each of `parts` a path at which what it makes of the document is shown."""
    plain: Callable[[], Document] = app.openapi

    def openapi() -> Document:
        return with_security(plain())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    for path, part in {"/openapi.json": _whole, **parts}.items():
        app.router.add_route(path, _shown(app, part), include_in_schema=False)


def with_security(document: Document) -> Document:
    """The document, saying which calls need a key."""
    document.setdefault("components", {})["securitySchemes"] = SECURITY
    document["security"] = [{"Bearer": []}]
    for path in PUBLIC & document["paths"].keys():
        for method, operation in document["paths"][path].items():
            if method != "delete":
                operation["security"] = []
    return document


def below(document: Document, prefix: str, **info: str) -> Document:
    """The part of a document below a prefix, which moves from its paths into `servers`."""
    paths = {path.removeprefix(prefix): item for path, item in document["paths"].items() if path.startswith(prefix)}
    return {**document, "info": {**document["info"], **info}, "servers": [{"url": prefix}], "paths": paths}


def _whole(document: Document) -> Document:
    return document


def _shown(app: FastAPI, part: Callable[[Document], Document]) -> Callable[[Request], Any]:
    rendered: list[bytes] = []

    async def show(request: Request) -> Response:
        if not rendered:
            # Making it takes a while, and nobody else should wait.
            rendered.append(await asyncio.to_thread(lambda: to_json(part(app.openapi()))))
        return Response(rendered[0], media_type="application/json")

    return show
