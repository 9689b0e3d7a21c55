"""Static pages: what no other route answers (spec section 1)."""

from __future__ import annotations

from aiohttp import web

from comfyserve.embedded.front_end import FRONT_END, INDEX, PLAIN_PAGE
from comfyserve.protocol import routes

NEVER_CACHED = {"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "0"}


async def get_root(request: web.Request) -> web.StreamResponse:
    """The editor, or the page that says how to install it."""
    path = request.app[FRONT_END].file(f"/{INDEX}")
    if path is None:
        return web.Response(text=PLAIN_PAGE, content_type="text/html", headers=NEVER_CACHED)
    return web.FileResponse(path, headers=NEVER_CACHED)


async def get_page(request: web.Request) -> web.StreamResponse:
    """A file of the editor."""
    path = request.app[FRONT_END].file(request.path)
    if path is None:
        raise web.HTTPNotFound(text="")
    return web.FileResponse(path)


ROUTES = (
    ("GET", routes.ROOT, get_root),
    ("GET", routes.ANY_PAGE, get_page),
)
"""Not doubled, and after all others."""
