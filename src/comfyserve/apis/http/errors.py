"""Errors on the wire: every failure becomes a DomainError, and the wire API that was called gives it its face.

The errors that only HTTP knows (a body that is no JSON, a route that does not exist) are DomainErrors too, so that
there is one table, code -> status, and each wire API has one shape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from comfyserve.core.errors import DomainError, NotFound, Place, TooLarge

MAX_SHOWN = 20
"""How many shape errors of one body are told."""


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
"""Code -> status, for every wire API; codes that are not listed are our own failures and answer 500."""


class MalformedJson(DomainError):
    """The body is not JSON."""

    code = "malformed_json"


class InvalidRequest(DomainError):
    """The body or a parameter has the wrong shape; `details.errors` lists `{loc, msg, type}`."""

    code = "invalid_request"


class WrongMethod(DomainError):
    """The route exists, but not with this method."""

    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str = "") -> None:
        super().__init__(message)
        self.allow = allow


class UnknownRoute(NotFound):
    """Nothing lives at this path."""


class RangeUnsatisfiable(DomainError):
    """The range lies outside of the file, which has `size` bytes."""

    code = "range_unsatisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The range lies outside of the file, which has {size} bytes.")
        self.size = size


class Busy(DomainError):
    """The server has as many open streams as it may have; try again after `retry_after` seconds."""

    code = "busy"
    retry_after = 5


class Internal(DomainError):
    """Our own failure. The log has the rest, under the request id."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("Something went wrong on the server. Its log tells what, under this request id.")


Face = Callable[[DomainError, Scope], Response]
"""How a wire API shows an error."""


@dataclass(frozen=True)
class Faces:
    """Which wire API shows the errors of which paths; the first prefix that fits wins."""

    by_prefix: Sequence[tuple[str, Face]]
    default: Face

    def answer(self, scope: Scope, error: DomainError) -> Response:
        """The error in the shape of the API that was called."""
        path: str = scope["path"]
        for prefix, face in self.by_prefix:
            if path == prefix or path.startswith(prefix + "/"):
                return face(error, scope)
        return self.default(error, scope)


def headers_of(error: DomainError) -> dict[str, str]:
    """The headers that an error brings, whatever its shape."""
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        return {"retry-after": str(retry_after)}
    if isinstance(error, WrongMethod) and error.allow:
        return {"allow": error.allow}
    if isinstance(error, RangeUnsatisfiable):
        return {"content-range": f"bytes */{error.size}"}
    return {}


def install(app: FastAPI, faces: Faces) -> None:
    """Let the app answer every expected failure through `faces`."""

    async def domain(request: Request, error: Exception) -> Response:
        return faces.answer(request.scope, as_domain(error, request.scope))

    for kind in (DomainError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, domain)


def as_domain(error: Exception, scope: Scope) -> DomainError:
    """The DomainError for whatever the routes or the framework raised."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, RequestValidationError):
        return _shape_error(error.errors())
    if isinstance(error, HTTPException):
        return _http_error(error, scope)
    return Internal()


def unknown_route(scope: Scope) -> NotFound:
    """Nothing lives at this path."""
    return UnknownRoute(f"There is no {scope['method']} {scope['path']} here; /docs lists what there is.")


class BodyTooLarge(TooLarge):
    """The whole body of a request has more bytes than are read."""


def too_large(limit: int) -> TooLarge:
    """The body is over `limit` bytes."""
    return BodyTooLarge(f"The body is over the limit of {limit / 1024**2:.0f} MB.", details={"limit": limit})


def _http_error(error: HTTPException, scope: Scope) -> DomainError:
    if error.status_code == 404:
        return unknown_route(scope)
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return WrongMethod(f"{scope['path']} does not take {scope['method']}; it takes {allow}.", allow=allow)
    if error.status_code == 413:
        return BodyTooLarge(str(error.detail))
    if error.status_code < 500:
        return InvalidRequest(str(error.detail), details={"errors": []})
    return Internal()


def _shape_error(errors: Sequence[Any]) -> DomainError:
    first: Mapping[str, Any] = errors[0] if errors else {}
    if first.get("type") == "json_invalid":
        reason = first.get("ctx", {}).get("error", "it cannot be read")
        return MalformedJson(f"The body is not JSON: {reason}.")
    told = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in errors[:MAX_SHOWN]]
    where = ".".join(str(step) for step in first.get("loc", ()) if step not in ("body", "query", "path"))
    sentence = str(first.get("msg", "The request has the wrong shape"))
    return InvalidRequest(
        f"{where}: {sentence}." if where else f"{sentence}.",
        place=Place(field=where or None),
        details={"errors": told},
    )
