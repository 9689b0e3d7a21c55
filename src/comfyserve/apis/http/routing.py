"""Routes that read JSON strictly (no NaN, valid UTF-8, bounded depth) and fast."""

import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from comfyserve.apis.http.bundle import context_of
from comfyserve.apis.http.spool import Spooled

decoder = msgspec.json.Decoder()
BODILESS = frozenset({"GET", "HEAD", "DELETE"})


class JsonRequest(Request):
    """A request whose JSON is read by msgspec."""

    async def json(self) -> Any:
        """The body's value. Raises json.JSONDecodeError, which FastAPI turns into a shape error of its own type."""
        try:
            return decoder.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from error
        except RecursionError as error:
            raise json.JSONDecodeError("it is nested too deeply", "", 0) from error


class ApiRoute(APIRoute):
    """The route class of every wire API."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual handler, on a JsonRequest."""
        handle = super().get_route_handler()

        async def on_json_request(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return on_json_request


class SpooledRequest(JsonRequest):
    """A request whose body has been read: in its JSON tokens stand for long texts."""

    def __init__(self, request: Request, spooled: Spooled) -> None:
        super().__init__(request.scope, request.receive)
        self._body = spooled.rest
        self.scope["spooled"] = spooled


class SpooledRoute(APIRoute):
    """The route class of those that take files in JSON: these wait on disk until the route has answered, or lets them
    go."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual handler, on a SpooledRequest where there may be a body."""
        handle = super().get_route_handler()

        async def on_spooled_request(request: Request) -> Response:
            spool = context_of(request).options.spool
            if spool is None or request.method in BODILESS:
                return await handle(JsonRequest(request.scope, request.receive))
            async with spool.reading(request.stream()) as spooled:
                return await handle(SpooledRequest(request, spooled))

        return on_spooled_request


def spooled_of(request: Request) -> Mapping[str, Path]:
    """The files of a request to a SpooledRoute, each by the token that stands for it in the JSON."""
    spooled: Spooled | None = request.scope.get("spooled")
    return {} if spooled is None else spooled.files


async def let_spooled_go(request: Request) -> None:
    """Remove these files before the request is over, when nobody needs them any more."""
    spooled: Spooled | None = request.scope.get("spooled")
    if spooled is not None:
        await spooled.let_go()
