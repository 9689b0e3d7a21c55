"""Errors as comfyui-api's callers read them (stateless-comfyui-api.md sections 1.0 and 1.4): Fastify's form, or
`{"error", "location"}` for what is wrong with a graph."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from comfyserve.apis.http.errors import STATUS, BodyTooLarge, UnknownRoute, WrongMethod, headers_of
from comfyserve.apis.stateless.bodies import JsonAnswer, UnsupportedMediaType
from comfyserve.apis.stateless.words import sentence_of
from comfyserve.core.errors import DomainError, Place
from comfyserve.core.media import FIELDS, MediaKind
from comfyserve.core.models import FIELDS as MODEL_FIELDS
from comfyserve.core.runs import Status
from comfyserve.services.postings import Snapshot

NO_OUTPUT = 'Prompt must contain a node with a "filename_prefix" input, such as "SaveImage"'
INTERRUPTED = "Prompt execution interrupted"

FASTIFY: Mapping[str, str] = {
    "invalid_request": "FST_ERR_VALIDATION",
    "malformed_json": "FST_ERR_CTP_INVALID_JSON_BODY",
    "too_large": "FST_ERR_CTP_BODY_TOO_LARGE",
    "unsupported_media_type": "FST_ERR_CTP_INVALID_MEDIA_TYPE",
}
"""Our code -> Fastify's, for the errors that it makes itself."""

TOO_LARGE = "Request body is too large"
OTHERS: Mapping[str, int] = {
    "invalid_request": 400,
    "unsupported_media_type": 415,
    "prompt_refused": 400,
    "method_not_allowed": 404,
    "gateway_timeout": 504,
    "stopping": 503,
}
"""Statuses in which this dialect differs, and those of its own codes."""

LOCATED = frozenset({"invalid_input", "invalid_graph", "fetch_refused", "fetch_failed", "prompt_refused"})
"""Codes of what is wrong with a request's values: their form has a location."""

STAGING = LOCATED | {"too_large", "not_found"}
"""Codes of a run that could not be made ready: its caller's fault, and not the server's."""

MEDIA_WORDS: Mapping[MediaKind, str] = {
    MediaKind.IMAGE: "image",
    MediaKind.IMAGES: "images",
    MediaKind.FOLDER: "images",
    MediaKind.VIDEO: "video",
    MediaKind.AUDIO: "audio",
    MediaKind.FILE: "file",
}


class PromptRefused(DomainError):
    """Something in the graph is wrong; `location` is where, in the words of comfyui-api."""

    code = "prompt_refused"

    def __init__(self, message: str, location: str, *, node_errors: Any = None) -> None:
        super().__init__(message, details={"location": location})
        self.node_errors = node_errors


class StillRunning(DomainError):
    """The longest wait is over; the run goes on."""

    code = "gateway_timeout"


class Stopping(DomainError):
    """The server stops; the run goes on after its next start."""

    code = "stopping"
    retry_after = 5


def face(error: DomainError, scope: Scope) -> Response:
    """The error in the dialect's shape."""
    status = OTHERS.get(error.code) or STATUS.get(error.code, 500)
    return JsonAnswer(_body(error, status, scope), status, headers_of(error))


def _body(error: DomainError, status: int, scope: Scope) -> dict[str, Any]:
    if isinstance(error, UnknownRoute | WrongMethod):
        path = scope.get("raw_path") or scope["path"].encode()
        message = f"Route {scope['method']}:{path.decode(errors='replace')} not found"
        return {"message": message, "error": phrase(404), "statusCode": 404}
    if error.code in LOCATED:
        location = error.details.get("location") or location_of(error.place.as_dict(), error.code)
        node_errors = getattr(error, "node_errors", None)
        return {"error": error.message, "location": location} | ({"node_errors": node_errors} if node_errors else {})
    return fastify(status, _message(error), code=FASTIFY.get(error.code))


def _message(error: DomainError) -> str:
    if isinstance(error, BodyTooLarge):
        return TOO_LARGE
    return phrase(415) if isinstance(error, UnsupportedMediaType) else error.message


def fastify(status: int, message: str, *, code: str | None = None) -> dict[str, Any]:
    """An error in Fastify's form; `code` only for those that it makes itself."""
    return {"statusCode": status} | ({"code": code} if code else {}) | {"error": phrase(status), "message": message}


def phrase(status: int) -> str:
    """What a status is called, as Node does."""
    return "Payload Too Large" if status == 413 else HTTPStatus(status).phrase


def location_of(place: Mapping[str, str], code: str = "invalid_graph") -> str:
    """A place in the words of section 1.4: `prompt.<node id>.inputs.<field>`, or the field of the request."""
    node_id, field = place.get("node_id"), place.get("field", "").partition("[")[0]
    if node_id is None:
        return field or ("prompt" if code == "invalid_graph" else "body")
    if not field or field == "class_type":
        return f"prompt.{node_id}{'.' if field else ''}{field}"
    return f"prompt.{node_id}.inputs.{field}"


@contextmanager
def told_of(graph: Mapping[str, Any]) -> Iterator[None]:
    """Let what is wrong with the files of a graph be told as the original tells it."""
    try:
        yield
    except DomainError as error:
        if error.place.node_id is None or error.code not in STAGING:
            raise
        raise located(error.message, error.place, error.code, graph) from error


def located(sentence: str, place: Place, code: str, graph: Mapping[str, Any]) -> PromptRefused:
    """The error of a file that a node names, and of any other input of it."""
    node_id, field = str(place.node_id), (place.field or "").partition("[")[0]
    node = graph.get(node_id)
    class_type = str(node.get("class_type")) if isinstance(node, Mapping) else ""
    if field in MODEL_FIELDS.get(class_type, ()):
        return PromptRefused(f"Failed to process model for node {node_id}: {sentence}", f"prompt.{node_id}.inputs")
    known = FIELDS.get(class_type)
    if field and field in (known.fields if known else ("image",)):
        word = MEDIA_WORDS[known.kind if known else MediaKind.IMAGE]
        sentence = f"Failed to download {word} for node {node_id}: {sentence}"
    return PromptRefused(sentence, location_of(place.as_dict(), code))


def run_failure(told: Snapshot) -> tuple[int, dict[str, Any]]:
    """Status and body for a run that ended otherwise than with success."""
    error = told.run.error or {}
    code = str(error.get("code", ""))
    sentence = sentence_of(str(error.get("message") or ""), told.memo.get("request", {}))
    place, details = Place(**error.get("place") or {}), error.get("details") or {}
    if told.run.status is Status.CANCELLED:
        return 500, fastify(500, INTERRUPTED)
    if code == "engine_error" and "status" in details:
        refused = {"error": sentence, "location": "prompt", "node_errors": details.get("node_errors") or {}}
        return 400, refused
    if code in STAGING:
        refusal = located(sentence, place, code, told.graph) if place.node_id else None
        location = refusal.details["location"] if refusal else location_of(place.as_dict(), code)
        return 400, {"error": refusal.message if refusal else sentence, "location": location}
    return 500, fastify(500, sentence or "The run failed.") | _raised(place, details)


def _raised(place: Place, details: Mapping[str, Any]) -> dict[str, Any]:
    """Which node raised what, beside the sentence."""
    if place.node_id is None:
        return {}
    facts = {"node_id": place.node_id, "class_type": details.get("class_type") or details.get("node_type")}
    facts |= {key: details.get(key) for key in ("exception_type", "traceback")}
    return {key: value for key, value in facts.items() if value}
