"""Prompts: submit, queue, interrupt, free (spec sections 2 and 3)."""

from __future__ import annotations

import json

from aiohttp import web

from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.faults.answers import wrong_answer
from comfyserve.embedded.routes.bodies import id_list, json_answer, large_answer, read_object
from comfyserve.embedded.routes.submission import Refused, accept
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
        return json_answer({"error": refusal.error, "node_errors": refusal.node_errors}, status=refusal.status)
    wrong = wrong_answer(request, engine.faults, prompt)
    return wrong or json_answer({"prompt_id": prompt.prompt_id, "number": prompt.number, "node_errors": node_errors})


async def get_queue(request: web.Request) -> web.Response:
    """What runs and what waits; the waiting ones in heap order."""
    running, pending = request.app[ENGINE].queue.look()
    rows = [prompt.row() for prompt in pending]
    return await large_answer({"queue_running": [running.row()] if running else [], "queue_pending": rows})


async def post_queue(request: web.Request) -> web.Response:
    """Clear the waiting prompts, or delete some."""
    engine = request.app[ENGINE]
    wish = await read_object(request)
    doomed = id_list(wish.get("delete", []))
    if wish.get("clear"):
        engine.queue.clear()
    if engine.queue.delete(doomed) or wish.get("clear"):
        engine.worker.announce_status()
    return web.Response()


async def post_interrupt(request: web.Request) -> web.Response:
    """Interrupt what runs; with a prompt_id only if that prompt runs. A body that is no JSON counts as empty."""
    try:
        wish = json.loads(await request.read())
    except (ValueError, RecursionError):
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


ROUTES = (
    ("GET", routes.PROMPT, get_prompt),
    ("POST", routes.PROMPT, post_prompt),
    ("GET", routes.QUEUE, get_queue),
    ("POST", routes.QUEUE, post_queue),
    ("POST", routes.INTERRUPT, post_interrupt),
    ("POST", routes.FREE, post_free),
)
