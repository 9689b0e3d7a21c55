"""Prompts: submit, queue, interrupt, history, and the websocket (spec sections 2, 3 and 8)."""

from __future__ import annotations

import json
import uuid
from typing import Any

from aiohttp import web

from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.faults.answers import wrong_answer
from comfyserve.embedded.history import NO_OFFSET
from comfyserve.embedded.routes.bodies import bad_request, id_list, read_object
from comfyserve.embedded.submission import Refused, accept
from comfyserve.protocol import routes


async def get_prompt(request: web.Request) -> web.Response:
    """How many prompts wait or run."""
    return web.json_response({"exec_info": {"queue_remaining": request.app[ENGINE].queue.remaining()}})


async def post_prompt(request: web.Request) -> web.Response:
    """Validate a prompt and queue it."""
    engine = request.app[ENGINE]
    try:
        prompt, node_errors = await accept(engine, await request.read())
    except Refused as refusal:
        return _json({"error": refusal.error, "node_errors": refusal.node_errors}, status=refusal.status)
    engine.worker.announce_status()
    wrong = wrong_answer(request, engine.faults, prompt)
    return wrong or _json({"prompt_id": prompt.prompt_id, "number": prompt.number, "node_errors": node_errors})


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
        engine.queue.delete(id_list(wish["delete"]))
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
        history.delete(id_list(wish["delete"]))
    return web.Response()


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Events and previews for one client id."""
    client_id = request.query.get(routes.CLIENT_ID) or uuid.uuid4().hex
    return await request.app[ENGINE].hub.serve(request, client_id)


def _integer(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f"{name} must be an integer") from error


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
