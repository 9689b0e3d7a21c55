"""The HTTP application: routes, manners, and the engine's start and end (spec section 1)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from aiohttp import web

from comfyserve.embedded.engine import ENGINE, Engine
from comfyserve.embedded.front_end import FRONT_END, FrontEnd
from comfyserve.embedded.manners import middlewares
from comfyserve.embedded.routes import pages
from comfyserve.embedded.routes.bodies import Respond
from comfyserve.embedded.routes.table import all_routes
from comfyserve.protocol.routes import PREFIX

STOP_SECONDS = 3.0
"""How long a node that does not look for interruption may keep the process at its end."""


def build_app(engine: Engine, front_end: FrontEnd | None = None) -> web.Application:
    """The application of one engine; starting it starts the worker, its end stops it.

    Without a front end `GET /` is a plain page.
    """
    app = engine.packs.application(engine.settings.body_bytes)
    app.middlewares[:0] = middlewares(engine.settings)
    app[ENGINE] = engine
    app[FRONT_END] = front_end or FrontEnd()
    for method, path, route in all_routes():
        _add(app, method, path, route)
    engine.packs.add_routes(app, PREFIX)
    for method, path, route in pages.ROUTES:
        _add(app, method, path, route)
    app.cleanup_ctx.append(_running)
    app.on_shutdown.append(_dismiss_sockets)
    return app


def _add(app: web.Application, method: str, path: str, route: Respond) -> None:
    app.router.add_get(path, route) if method == "GET" else app.router.add_route(method, path, route)


async def _running(app: web.Application) -> AsyncIterator[None]:
    engine, root = app[ENGINE], logging.getLogger()
    root.addHandler(engine.logs)
    engine.hub.start()
    engine.worker.start()
    yield
    engine.worker.stop(STOP_SECONDS)
    root.removeHandler(engine.logs)


async def _dismiss_sockets(app: web.Application) -> None:
    app[ENGINE].hub.dismiss_all()
