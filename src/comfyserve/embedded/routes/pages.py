"""Static pages: what no other route answers (spec section 1)."""

from __future__ import annotations

from aiohttp import web

from comfyserve.embedded.routes.front_end import FRONT_END, INDEX, PLAIN_PAGE
from comfyserve.protocol import routes

OWN_HOST_ONLY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "connect-src 'self' ws: wss: data: blob: http://127.0.0.1:* http://localhost:*; "
    "frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""The editor asks hosts of its makers at start (release notes, sign-in, statistics): the browser then refuses. A server
on this machine may be asked, for the Deploy panel."""

NEVER_CACHED = {"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "0"}


async def get_root(request: web.Request) -> web.StreamResponse:
    """The editor, or the page that says how to install it."""
    front_end = request.app[FRONT_END]
    path = front_end.file(f"/{INDEX}")
    policy = {} if front_end.networked else {"Content-Security-Policy": OWN_HOST_ONLY}
    if path is None:
        return web.Response(text=PLAIN_PAGE, content_type="text/html", headers=NEVER_CACHED | policy)
    return web.FileResponse(path, headers=NEVER_CACHED | policy)


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
