"""GET /openapi.json: every wire API in one document, with how to sign in."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request

from comfyserve.apis.http.answers import Json, to_json

SECURITY = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `comfyserve key create`."},
}
PUBLIC = frozenset({"/health", "/ready", "/files/{asset_id}/{filename}", "/v1/session"})


def describe(app: FastAPI) -> None:
    """Add the route, and make the document say which calls need a key."""
    plain: Callable[[], dict[str, Any]] = app.openapi
    rendered: list[bytes] = []

    def openapi() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = SECURITY
        document["security"] = [{"Bearer": []}]
        for path, item in document["paths"].items():
            if path in PUBLIC:
                for operation in item.values():
                    operation["security"] = []
        return document

    async def show(request: Request) -> Json:
        if not rendered:
            rendered.append(to_json(app.openapi()))
        return Rendered(rendered[0])

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    app.add_api_route("/openapi.json", show, include_in_schema=False)


class Rendered(Json):
    """JSON that is bytes already."""

    def render(self, content: bytes) -> bytes:
        """The bytes as they are."""
        return content
