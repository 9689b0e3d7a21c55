"""Users and the settings of their editor (spec section 6)."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from comfyserve.core.errors import Conflict
from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.routes.bodies import bad_request, json_answer, parse_json, read_object
from comfyserve.protocol import routes


async def get_users(request: web.Request) -> web.Response:
    """All users; of a single one only whether there are files already."""
    users = request.app[ENGINE].users
    if users.several:
        return json_answer({"storage": "server", "users": await asyncio.to_thread(users.names)})
    return json_answer({"storage": "server", "migrated": users.folder(None).is_dir()})


async def post_user(request: web.Request) -> web.Response:
    """A new user; the answer is the id."""
    name = (await read_object(request)).get("username")
    if not isinstance(name, str):
        raise bad_request("username must be a text")
    try:
        return json_answer(await asyncio.to_thread(request.app[ENGINE].users.add, name))
    except Conflict as error:
        return json_answer({"error": error.message}, status=400)


async def get_settings(request: web.Request) -> web.Response:
    """All settings of the user."""
    return json_answer(await _settings(request))


async def get_setting(request: web.Request) -> web.Response:
    """One setting, null when it is not set."""
    return json_answer((await _settings(request)).get(request.match_info["key"]))


async def post_settings(request: web.Request) -> web.Response:
    """Merge an object into the settings."""
    return await _change(request, await read_object(request))


async def post_setting(request: web.Request) -> web.Response:
    """Set one setting to any JSON value."""
    return await _change(request, {request.match_info["key"]: parse_json(await request.read())})


def user_id(request: web.Request) -> str | None:
    """Who asks; None is the default user."""
    return request.headers.get(routes.USER_HEADER)


async def _settings(request: web.Request) -> dict[str, Any]:
    return await asyncio.to_thread(request.app[ENGINE].users.settings, user_id(request))


async def _change(request: web.Request, changes: dict[str, Any]) -> web.Response:
    await asyncio.to_thread(request.app[ENGINE].users.change_settings, user_id(request), changes)
    return web.Response()


ROUTES = (
    ("GET", routes.USERS, get_users),
    ("POST", routes.USERS, post_user),
    ("GET", routes.SETTINGS, get_settings),
    ("GET", routes.SETTINGS_ONE, get_setting),
    ("POST", routes.SETTINGS, post_settings),
    ("POST", routes.SETTINGS_ONE, post_setting),
)
