"""Prompts: submit, queue, interrupt, history, and the websocket (spec sections 2, 3 and 8)."""

from __future__ import annotations

import json
import math
import time
import uuid
from typing import Any

from aiohttp import web

from comfyserve.embedded.bodies import bad_request, parse_object, read_object
from comfyserve.embedded.engine import ENGINE, Engine
from comfyserve.embedded.history import NO_OFFSET
from comfyserve.embedded.queue import QueuedPrompt, QueueFull
from comfyserve.embedded.validate import Verdict, prompt_error, validate
from comfyserve.protocol import routes
from comfyserve.protocol.errors import PROMPT_MESSAGES, PromptError


async def get_prompt(request: web.Request) -> web.Response:
    """How many prompts wait or run."""
    return web.json_response({"exec_info": {"queue_remaining": request.app[ENGINE].queue.remaining()}})


async def post_prompt(request: web.Request) -> web.Response:
    """Validate a prompt and queue it."""
    engine = request.app[ENGINE]
    body = await request.read()
    wish = parse_object(body)
    number = _number(wish, engine)
    if "prompt" not in wish:
        message = PROMPT_MESSAGES[PromptError.NO_PROMPT]
        return _refused(Verdict(error=prompt_error(PromptError.NO_PROMPT, message, message)))
    graph = wish["prompt"]
    if not isinstance(graph, dict):
        raise bad_request("prompt must be an object: node id -> {class_type, inputs}")
    verdict = await validate(graph, engine.catalogue, _targets(wish))
    if verdict.error is not None:
        return _refused(verdict)
    prompt_id = str(wish["prompt_id"]) if wish.get("prompt_id") is not None else str(uuid.uuid4())
    prompt = QueuedPrompt(number, prompt_id, graph, _extra_data(wish), verdict.outputs, len(body))
    try:
        engine.queue.put(prompt)
    except QueueFull as full:
        return _refused(Verdict(error=prompt_error(PromptError.QUEUE_FULL, f"The queue is full: {full}")), status=429)
    engine.worker.announce_status()
    return _json({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})


async def get_queue(request: web.Request) -> web.Response:
    """What runs and what waits; the waiting ones in heap order."""
    queue = request.app[ENGINE].queue
    running = queue.running()
    return _json(
        {
            "queue_running": [running.row()] if running else [],
            "queue_pending": [prompt.row() for prompt in queue.pending()],
        }
    )


async def post_queue(request: web.Request) -> web.Response:
    """Clear the waiting prompts, or delete some."""
    engine = request.app[ENGINE]
    wish = await read_object(request)
    if wish.get("clear"):
        engine.queue.clear()
    if "delete" in wish:
        engine.queue.delete(_ids(wish["delete"]))
    engine.worker.announce_status()
    return web.Response()


async def post_interrupt(request: web.Request) -> web.Response:
    """Interrupt what runs; with a prompt_id only if that prompt runs. A body that is no JSON counts as empty."""
    try:
        wish = json.loads(await request.read())
    except ValueError:
        wish = {}
    prompt_id = wish.get("prompt_id") if isinstance(wish, dict) else None
    request.app[ENGINE].queue.interrupt(str(prompt_id) if prompt_id else None)
    return web.Response()


async def post_free(request: web.Request) -> web.Response:
    """free_memory drops the cached results after the running prompt; there are no models to unload."""
    wish = await read_object(request)
    if wish.get("free_memory"):
        request.app[ENGINE].queue.wish_free()
    return web.Response()


async def get_history(request: web.Request) -> web.Response:
    """A page of the records, oldest first."""
    max_items = _integer(request, "max_items")
    offset = _integer(request, "offset")
    return _json(request.app[ENGINE].history.page(max_items, NO_OFFSET if offset is None else offset))


async def get_history_one(request: web.Request) -> web.Response:
    """One record, or {} when there is none (yet)."""
    return _json(request.app[ENGINE].history.get(request.match_info["prompt_id"]))


async def post_history(request: web.Request) -> web.Response:
    """Clear the history, or delete some records."""
    history = request.app[ENGINE].history
    wish = await read_object(request)
    if wish.get("clear"):
        history.clear()
    if "delete" in wish:
        history.delete(_ids(wish["delete"]))
    return web.Response()


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Events and previews for one client id."""
    client_id = request.query.get(routes.CLIENT_ID) or uuid.uuid4().hex
    return await request.app[ENGINE].hub.serve(request, client_id)


def _number(wish: dict[str, Any], engine: Engine) -> float:
    """The priority: given, or the server's counter, negated for `front`."""
    if "number" not in wish:
        count = next(engine.counter)
        return -count if wish.get("front") else count
    try:
        number = float(wish["number"])
    except (TypeError, ValueError, OverflowError) as error:
        raise bad_request("number must be a number") from error
    if not math.isfinite(number):
        raise bad_request("number must be finite")
    return number


def _targets(wish: dict[str, Any]) -> set[str] | None:
    targets = wish.get("partial_execution_targets")
    if targets is None:
        return None
    return set(_ids(targets))


def _extra_data(wish: dict[str, Any]) -> dict[str, Any]:
    given = wish.get("extra_data")
    extra = dict(given) if isinstance(given, dict) else {}
    if "client_id" in wish:
        extra["client_id"] = wish["client_id"]
    extra["create_time"] = int(time.time() * 1000)
    return extra


def _ids(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise bad_request("a list of ids is needed")
    return [str(item) for item in value]


def _integer(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f"{name} must be an integer") from error


def _refused(verdict: Verdict, status: int = 400) -> web.Response:
    return _json({"error": verdict.error, "node_errors": verdict.node_errors}, status=status)


def _json(value: Any, status: int = 200) -> web.Response:
    # Received values and bounds of foreign nodes may have no JSON form.
    return web.json_response(value, status=status, dumps=lambda data: json.dumps(data, default=str))


ROUTES = (
    ("GET", routes.PROMPT, get_prompt),
    ("POST", routes.PROMPT, post_prompt),
    ("GET", routes.QUEUE, get_queue),
    ("POST", routes.QUEUE, post_queue),
    ("POST", routes.INTERRUPT, post_interrupt),
    ("POST", routes.FREE, post_free),
    ("GET", routes.HISTORY, get_history),
    ("GET", routes.HISTORY_ONE, get_history_one),
    ("POST", routes.HISTORY, post_history),
    ("GET", routes.WEBSOCKET, websocket),
)
