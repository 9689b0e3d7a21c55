"""Bodies of requests and answers as comfyui-api reads and writes them (stateless-comfyui-api.md section 1.0)."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.errors import MAX_SHOWN, InvalidRequest, MalformedJson
from comfyserve.apis.stateless.options import stateless_of
from comfyserve.apis.stateless.shapes import Part, strangers
from comfyserve.core.errors import DomainError, Place

Body = TypeVar("Body", bound=BaseModel)
Wanted = TypeVar("Wanted", bound=Part)

JSON_TYPES = frozenset({"application/json", "text/json"})
TEXT = "text/plain"
"""Is read, too, as a text: which no route takes."""

MAX_PATH = 200
KINDS: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
"""What a wrong value is called."""

WANTED: Mapping[str, str] = {
    "string_type": "string",
    "bool_type": "boolean",
    "int_type": "number",
    "float_type": "number",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}
"""The word for what pydantic misses."""

_decoder = msgspec.json.Decoder()


class UnsupportedMediaType(DomainError):
    """The body is of a type that is not read."""

    code = "unsupported_media_type"


class JsonAnswer(Json):
    """JSON, with the type as the original's callers know it."""

    media_type = "application/json; charset=utf-8"


async def read_body(request: Request, shape: type[Wanted]) -> Wanted:
    """The body in its shape. Keys that nobody knows are dropped, or refused where the server is strict.

    Raises UnsupportedMediaType, MalformedJson, InvalidRequest, TooLarge.
    """
    body = in_shape(await read_json(request), shape)
    if stateless_of(request).strict and (unknown := list(strangers(body))):
        raise misshapen([(path.split("/")[1:], "Unknown key") for path in unknown])
    return body


async def read_json(request: Request) -> Any:
    """The JSON of a body. Raises UnsupportedMediaType, MalformedJson, TooLarge."""
    mime = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if mime == TEXT:
        return body.decode(errors="replace")
    if mime not in JSON_TYPES and not mime.endswith("+json"):
        if not mime and not body:
            return None
        raise UnsupportedMediaType("Unsupported Media Type")
    if not body:
        raise MalformedJson("Body cannot be empty when content-type is set to 'application/json'")
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJson(f"Body is not valid JSON but content-type is set to 'application/json': {error}") from error
    except RecursionError as error:
        raise MalformedJson("Body is not valid JSON: it is nested too deeply") from error


def in_shape(value: Any, shape: type[Body]) -> Body:
    """A JSON value in its shape. Raises InvalidRequest, whose sentence is that of the original's validation."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise misshapen([(one["loc"], _sentence(one)) for one in error.errors(include_url=False)]) from None


def misshapen(faults: Sequence[tuple[Sequence[str | int], str]]) -> InvalidRequest:
    """The error for faults (path, what is wrong): `body/<path with slashes> <what is wrong>`, parted by commas."""
    told = [f"{_path(path)} {sentence}" for path, sentence in faults[:MAX_SHOWN]]
    field = ".".join(map(str, faults[0][0]))[:MAX_PATH] if faults else ""
    return InvalidRequest(", ".join(told), place=Place(field=field or None))


def documented(shape: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads this shape itself."""
    return {"requestBody": body_of(shape.model_json_schema(by_alias=True))}


def body_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a request body that has this JSON Schema."""
    return {"required": True, "content": {"application/json": {"schema": inlined(schema)}}}


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema without `$defs`, to stand anywhere in a document; what contains itself is left open."""
    defined: Mapping[str, Any] = schema.get("$defs", {})

    def plain(value: Any, inside: frozenset[str]) -> Any:
        if isinstance(value, list):
            return [plain(item, inside) for item in value]
        if not isinstance(value, Mapping):
            return value
        name = str(value.get("$ref", "")).rpartition("/")[2]
        if name in inside:
            return {}
        if name in defined:
            rest = {key: item for key, item in value.items() if key != "$ref"}
            return plain({**defined[name], **rest}, inside | {name})
        kept = {key: item for key, item in value.items() if key not in ("$defs", "discriminator")}
        return {key: plain(item, inside) for key, item in kept.items()}

    shown: dict[str, Any] = plain(schema, frozenset())
    return shown


def _path(steps: Sequence[str | int]) -> str:
    return "/".join(["body", *map(str, steps)])[:MAX_PATH]


def _sentence(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "missing":
        return "Required"
    if kind in WANTED:
        return f"Expected {WANTED[kind]}, received {KINDS.get(type(error.get('input')), 'unknown')}"
    context = error.get("ctx", {})
    if kind == "literal_error":
        return f"Invalid enum value. Expected {_alternatives(context.get('expected', ''))}"
    if kind.startswith("union_tag"):
        expected = context.get("expected_tags", "")
        return f"Invalid discriminator value. Expected {' | '.join(expected.split(', '))}"
    return str(error["msg"])


def _alternatives(expected: str) -> str:
    return expected.replace(" or ", ", ").replace(", ", " | ")
