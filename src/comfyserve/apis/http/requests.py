"""The outermost layer: one id per request, one log line, no exception that leaves without an answer."""

import re
import time
import uuid
from collections.abc import Mapping

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comfyserve.apis.http.errors import Faces, Internal

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
QUIET = frozenset({"/health", "/ready"})
"""Paths that probes ask all day; they are logged at debug."""

log = structlog.get_logger("comfyserve.http")


def request_id(scope: Scope) -> str:
    """The id of this request, as the log and the X-Request-Id header have it."""
    return str(scope.get("request_id", ""))


class RequestLog:
    """Gives the request its id, adds `headers` to every answer, logs it, and answers 500 where nobody else did."""

    def __init__(self, app: ASGIApp, *, faces: Faces, headers: Mapping[str, str]) -> None:
        self.app = app
        self.faces = faces
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["request_id"] = given if SANE_ID.fullmatch(given) else uuid.uuid4().hex
        scope["asked_path"] = scope["path"]
        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            await self._answered(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = scope["request_id"]
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        except Exception:
            log.exception("request failed", method=scope["method"], path=scope["asked_path"])
            if status == 0:
                await self.faces.answer(scope, Internal())(scope, receive, send_marked)
        finally:
            line = log.debug if scope["asked_path"] in QUIET else log.info
            line(
                "request",
                method=scope["method"],
                path=scope["asked_path"],
                status=status,
                ms=round((time.perf_counter() - begun) * 1000, 1),
            )
