"""The websocket (spec section 8)."""

from __future__ import annotations

import uuid

from aiohttp import web

from comfyserve.embedded.engine import ENGINE
from comfyserve.protocol import routes


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Events and previews for one client id."""
    client_id = request.query.get(routes.CLIENT_ID) or uuid.uuid4().hex
    return await request.app[ENGINE].hub.serve(request, client_id)


ROUTES = (("GET", routes.WEBSOCKET, websocket),)
