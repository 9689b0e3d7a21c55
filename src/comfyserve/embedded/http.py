"""The HTTP application: every route twice, the origin guard, the cache headers (spec section 1)."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from comfyserve.embedded.engine import ENGINE, Engine
from comfyserve.embedded.routes.table import ROUTES
from comfyserve.protocol.routes import PREFIX

STOP_SECONDS = 3.0
"""How long a node that does not look for interruption may keep the process at its end."""

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(engine: Engine) -> web.Application:
    """The application of one engine; starting it starts the worker, its end stops it."""
    app = web.Application(middlewares=[guard_origin, enter_engine], client_max_size=engine.settings.body_bytes)
    app[ENGINE] = engine
    for method, path, route in ROUTES:
        for full in (path, PREFIX + path):
            app.router.add_get(full, route) if method == "GET" else app.router.add_route(method, full, route)
    app.cleanup_ctx.append(_running)
    app.on_shutdown.append(_dismiss_sockets)
    return app


@web.middleware
async def guard_origin(request: web.Request, handler: Respond) -> web.StreamResponse:
    """OPTIONS is always empty 200; a page of another origin gets 403 while we are on a loopback name.

    On a loopback address any other name is a page's that has bound it to us, and gets 403 as well.
    """
    if request.method == "OPTIONS":
        return web.Response()
    host, origin = request.headers.get("Host"), request.headers.get("Origin")
    if host and not is_loopback(host) and _is_local(request):
        return web.Response(status=403)
    if host and origin and is_loopback(host) and origin.partition("://")[2].lower() != host.lower():
        return web.Response(status=403)
    return await handler(request)


@web.middleware
async def enter_engine(request: web.Request, handler: Respond) -> web.StreamResponse:
    """Choices and validators of nodes look at the engine's files."""
    request.app[ENGINE].enter()
    return await handler(request)


def _is_local(request: web.Request) -> bool:
    """Whether the request came in on a loopback address."""
    here = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return here is not None and ipaddress.ip_address(here[0]).is_loopback


def is_loopback(host: str) -> bool:
    """Whether a Host header (with or without port) names this machine's loopback."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost":
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _running(app: web.Application) -> AsyncIterator[None]:
    engine = app[ENGINE]
    engine.hub.start()
    engine.worker.start()
    yield
    engine.worker.stop(STOP_SECONDS)


async def _dismiss_sockets(app: web.Application) -> None:
    app[ENGINE].hub.dismiss_all()
