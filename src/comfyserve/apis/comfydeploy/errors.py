"""Errors as ComfyDeploy's clients read them: `{"detail": text}`, and 422 only with the list shape (section 1.4)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.errors import STATUS, headers_of
from comfyserve.core.errors import DomainError

UNAUTHORIZED: Mapping[str | None, str] = {
    "missing": "Invalid or missing token",
    "revoked": "Revoked token",
    None: "Invalid or expired token",
}
"""The three sentences of section 1.2, by the reason that the error gives."""

UPLOAD_PATH = "/api/file/upload"
V1_PATHS = frozenset({"/api/run", "/api/workflow"})
"""Where V1 clients look for `error` beside `detail` (section 6)."""


def face(error: DomainError, scope: Scope) -> Response:
    """The error in the dialect's shape."""
    status = STATUS.get(error.code, 500)
    path: str = scope["path"]
    if error.code == "too_large" and path == UPLOAD_PATH:
        status = 400
    body: dict[str, Any] = {"detail": _detail(error, path)}
    if path in V1_PATHS:
        body["error"] = error.message
    return Json(body, status, headers_of(error))


def _detail(error: DomainError, path: str) -> Any:
    if error.code == "invalid_request":
        shape_error = {"loc": ["body"], "msg": error.message, "type": "value_error"}
        return error.details.get("errors") or [shape_error]
    if error.code == "unauthorized":
        return UNAUTHORIZED.get(error.details.get("reason"), UNAUTHORIZED[None])
    if error.code == "too_large" and path == UPLOAD_PATH:
        return "File size exceeds 250MB limit"
    return error.message
