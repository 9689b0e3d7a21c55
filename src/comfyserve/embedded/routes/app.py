"""The HTTP application: routes, manners, and the engine's start and end (spec section 1)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

from comfyserve.embedded.engine import ENGINE, Engine
from comfyserve.embedded.routes import pages
from comfyserve.embedded.routes.bodies import Respond
from comfyserve.embedded.routes.front_end import FRONT_END, FrontEnd
from comfyserve.embedded.routes.manners import middlewares
from comfyserve.embedded.routes.table import all_routes
from comfyserve.protocol.routes import PREFIX

FAULT = 500
"""From this status on an answer tells of a fault of the engine."""
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
    server_logger.addFilter(_is_news)
    root.addHandler(engine.logs)
    engine.hub.start()
    engine.worker.start()
    yield
    engine.worker.stop(STOP_SECONDS)
    root.removeHandler(engine.logs)
    server_logger.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether the log gets it: a request that is no HTTP is answered with 400, and is no fault of the engine."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError) or error.code >= FAULT


async def _dismiss_sockets(app: web.Application) -> None:
    app[ENGINE].hub.dismiss_all()
