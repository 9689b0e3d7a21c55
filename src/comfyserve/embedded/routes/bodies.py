"""Request bodies and query values, and how a wrong one is told (spec section 1)."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from comfyserve.core.errors import Conflict, DomainError, Forbidden, InvalidInput, NotFound, TooLarge, Unauthorized
from comfyserve.protocol.errors import PromptError

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATUSES: dict[type[DomainError], int] = {
    InvalidInput: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
}
TRUE = "true"
MAX_IDS = 20_000
PARTS_DEPTH = 2
"""How deep a large answer is put together part by part: the records of an object, or of a list inside of one."""


async def read_object(request: web.Request, *, empty_ok: bool = False) -> dict[str, Any]:
    """The JSON object of a body, whatever its content type; 400 with a clear sentence otherwise."""
    return parse_object(await request.read(), empty_ok=empty_ok)


def parse_object(body: bytes, *, empty_ok: bool = False) -> dict[str, Any]:
    """As read_object, for bytes already read."""
    if empty_ok and not body.strip():
        return {}
    value = parse_json(body)
    if not isinstance(value, dict):
        raise bad_request("The body must be a JSON object", PromptError.INVALID_JSON)
    return value


def parse_json(body: bytes) -> Any:
    """Any JSON value; 400 when it is none. NaN and numbers beyond a float are refused: no browser reads them back."""
    try:
        return json.loads(body, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is not valid JSON: {error}", PromptError.INVALID_JSON) from error


def bad_request(message: str, kind: str = PromptError.INVALID_REQUEST) -> web.HTTPBadRequest:
    """A 400 in the shape of a refused prompt."""
    return web.HTTPBadRequest(text=_told(kind, message), content_type="application/json")


def refusal(error: DomainError) -> web.Response:
    """A domain error as an answer, in the shape of a refused prompt."""
    text = _told(error.code, error.message)
    return web.Response(status=status_of(error), text=text, content_type="application/json")


def status_of(error: DomainError) -> int:
    """The HTTP status of a domain error."""
    return STATUSES.get(type(error), 400)


def id_list(value: Any) -> list[str]:
    """A list of ids as strings; 400 for anything else, and for more than MAX_IDS."""
    if not isinstance(value, list):
        raise bad_request("a list of ids is needed")
    if len(value) > MAX_IDS:
        raise bad_request(f"{len(value)} ids are too many: at most {MAX_IDS} are taken at once")
    return [str(item) for item in value]


def integer(request: web.Request, name: str) -> int | None:
    """A whole number of the query, None when it is absent; 400 for anything else."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f"{name} must be an integer") from error


def flag(request: web.Request, name: str) -> bool:
    """Whether the query says `name=true`."""
    return request.query.get(name, "").lower() == TRUE


def json_answer(value: Any, status: int = 200) -> web.Response:
    """A JSON answer; received values and bounds of foreign nodes may have no JSON form and become text."""
    return web.json_response(value, status=status, dumps=lambda data: json.dumps(data, default=str))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a number that JSON has")
    return number


async def large_answer(value: Any) -> web.Response:
    """As json_answer, for what may have megabytes: the event loop goes on while it is put together."""
    text = await asyncio.to_thread(_in_parts, value, PARTS_DEPTH)
    return web.Response(text=text, content_type="application/json")


def _in_parts(value: Any, depth: int) -> str:
    """JSON, made part by part: one call of json.dumps keeps every other thread waiting."""
    if depth and isinstance(value, dict):
        parts = [f"{json.dumps(str(key))}: {_in_parts(item, depth - 1)}" for key, item in value.items()]
        return f"{{{', '.join(parts)}}}"
    if depth and isinstance(value, list):
        return f"[{', '.join([_in_parts(item, depth - 1) for item in value])}]"
    return json.dumps(value, default=str)


def _told(kind: str, message: str) -> str:
    error = {"type": kind, "message": message, "details": "", "extra_info": {}}
    return json.dumps({"error": error, "node_errors": {}})
