"""The history of finished prompts (spec sections 3 and 10)."""

from __future__ import annotations

from aiohttp import web

from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.prompts.history import NO_OFFSET
from comfyserve.embedded.routes.bodies import id_list, integer, json_answer, large_answer, read_object
from comfyserve.protocol import routes


async def get_history(request: web.Request) -> web.Response:
    """A page of the records, oldest first."""
    max_items = integer(request, "max_items")
    offset = integer(request, "offset")
    page = request.app[ENGINE].history.page(max_items, NO_OFFSET if offset is None else offset)
    return await large_answer(page)


async def get_history_one(request: web.Request) -> web.Response:
    """One record, or {} when there is none (yet)."""
    return json_answer(request.app[ENGINE].history.get(request.match_info["prompt_id"]))


async def post_history(request: web.Request) -> web.Response:
    """Clear the history, or delete some records."""
    history = request.app[ENGINE].history
    wish = await read_object(request)
    doomed = id_list(wish.get("delete", []))
    if wish.get("clear"):
        history.clear()
    history.delete(doomed)
    return web.Response()


ROUTES = (
    ("GET", routes.HISTORY, get_history),
    ("GET", routes.HISTORY_ONE, get_history_one),
    ("POST", routes.HISTORY, post_history),
)
