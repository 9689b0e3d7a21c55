"""Request bodies: JSON objects, whatever the content type says (spec section 1)."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from comfyserve.embedded.validate import prompt_error
from comfyserve.protocol.errors import PromptError


async def read_object(request: web.Request, *, empty_ok: bool = False) -> dict[str, Any]:
    """The JSON object of a body, whatever its content type; 400 with a clear sentence otherwise."""
    return parse_object(await request.read(), empty_ok=empty_ok)


def parse_object(body: bytes, *, empty_ok: bool = False) -> dict[str, Any]:
    """As read_object, for bytes already read."""
    if empty_ok and not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_request("The body must be a JSON object")
    return value


def bad_request(message: str) -> web.HTTPBadRequest:
    """A 400 in the shape of a refused prompt."""
    error = prompt_error(PromptError.INVALID_JSON, message)
    return web.HTTPBadRequest(text=json.dumps({"error": error, "node_errors": {}}), content_type="application/json")


def id_list(value: Any) -> list[str]:
    """A list of ids as strings; 400 for anything but a list."""
    if not isinstance(value, list):
        raise bad_request("a list of ids is needed")
    return [str(item) for item in value]
