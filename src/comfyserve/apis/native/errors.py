"""The one error shape of the native API, and which code has which status."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Scope

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.errors import headers_of
from comfyserve.core.errors import DomainError

STATUS: Mapping[str, int] = {
    "malformed_json": 400,
    "invalid_request": 422,
    "invalid_input": 400,
    "invalid_graph": 400,
    "fetch_refused": 400,
    "fetch_failed": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "range_unsatisfiable": 416,
    "queue_full": 429,
    "busy": 503,
    "internal": 500,
}
"""Codes that are not listed are our own failures and answer 500."""


def face(error: DomainError, scope: Scope) -> Response:
    """`{"error": {code, message, place?, details?, request_id}}`."""
    status = STATUS.get(error.code, 500)
    told = error.as_dict() | {"request_id": scope.get("request_id", "")}
    headers = headers_of(error)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Json({"error": told}, status, headers)
