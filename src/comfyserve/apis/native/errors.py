"""The one error shape of the native API."""

from starlette.responses import Response
from starlette.types import Scope

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.errors import STATUS, headers_of
from comfyserve.core.errors import DomainError


def face(error: DomainError, scope: Scope) -> Response:
    """`{"error": {code, message, place?, details?, request_id}}`."""
    status = STATUS.get(error.code, 500)
    told = error.as_dict() | {"request_id": scope.get("request_id", "")}
    headers = headers_of(error)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Json({"error": told}, status, headers)
