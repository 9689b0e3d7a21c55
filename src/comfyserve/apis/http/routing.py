"""Routes that read JSON strictly (no NaN, valid UTF-8, bounded depth) and fast."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

decoder = msgspec.json.Decoder()


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
