"""The files of a user: workflows, style sheet, templates (spec section 6). Errors are plain texts here."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO

from aiohttp import web

from comfyserve.core.errors import DomainError, Forbidden
from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.files.userdata import Found, UserFiles, file_info, relative
from comfyserve.embedded.routes.bodies import flag, json_answer, large_answer, status_of
from comfyserve.embedded.routes.files import content_type, guard_of
from comfyserve.embedded.routes.users import user_id
from comfyserve.protocol import routes

CHUNK_BYTES = 256 * 1024

Route = Callable[[web.Request, UserFiles], Awaitable[web.StreamResponse]]


def of_user(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Hand the route the files of the user who asks, and tell its errors as ComfyUI does."""

    @functools.wraps(route)
    async def answer(request: web.Request) -> web.StreamResponse:
        engine = request.app[ENGINE]
        bounds = engine.settings
        try:
            folder = await asyncio.to_thread(engine.users.folder, user_id(request))
            files = UserFiles(
                folder, most_files=bounds.user_files, most_bytes=bounds.user_bytes, writing=engine.users.writing
            )
            return await route(request, files)
        except DomainError as error:
            return web.Response(status=status_of(error), text=error.message)

    return answer


@of_user
async def list_files(request: web.Request, files: UserFiles) -> web.StreamResponse:
    """The files of a folder, as names, as infos, or split into their parts."""
    folder = request.query.get("dir", "")
    if not folder:
        return web.Response(status=400, text="Name a folder: ?dir=")
    return await large_answer(await asyncio.to_thread(_listed, request, files, folder))


@of_user
async def list_tree(request: web.Request, files: UserFiles) -> web.StreamResponse:
    """Everything below a folder."""
    try:
        return await large_answer(await asyncio.to_thread(files.tree, request.query.get("path", "")))
    except Forbidden:
        return web.Response(status=400, text="This path leaves the folder of the user")


@of_user
async def get_file(request: web.Request, files: UserFiles) -> web.StreamResponse:
    """A file as it is."""
    path = files.existing(request.match_info["file"])
    kind = content_type(path, styles=True)
    return web.FileResponse(path, headers={"Content-Type": kind, **guard_of(kind)})


@of_user
async def post_file(request: web.Request, files: UserFiles) -> web.StreamResponse:
    """Store the body under a name."""
    name, overwrite = request.match_info["file"], _overwrites(request)
    await asyncio.to_thread(files.check_room, name, overwrite=overwrite)
    content = await _received(request)
    try:
        stored = await asyncio.to_thread(files.place, content, name, overwrite=overwrite)
    finally:
        await asyncio.to_thread(content.unlink, missing_ok=True)
    return _stored(request, stored, files)


@of_user
async def delete_file(request: web.Request, files: UserFiles) -> web.StreamResponse:
    """Remove a file."""
    await asyncio.to_thread(files.delete, request.match_info["file"])
    return web.Response(status=204)


@of_user
async def move_file(request: web.Request, files: UserFiles) -> web.StreamResponse:
    """Give a file another name."""
    names = request.match_info
    stored = await asyncio.to_thread(files.move, names["file"], names["dest"], overwrite=_overwrites(request))
    return _stored(request, stored, files)


def _overwrites(request: web.Request) -> bool:
    return request.query.get("overwrite") != "false"


def _listed(request: web.Request, files: UserFiles, name: str) -> list[Any]:
    folder, found = files.path(name), files.listing(name, recurse=flag(request, "recurse"))
    if flag(request, "full_info"):
        return [file_info(one, folder) for one in found]
    names = [relative(one.path, folder) for one in found]
    return [[one, *one.split("/")] for one in names] if flag(request, "split") else names


def _stored(request: web.Request, stored: Found, files: UserFiles) -> web.Response:
    info = flag(request, "full_info")
    return json_answer(file_info(stored, files.root) if info else relative(stored.path, files.root))


async def _received(request: web.Request) -> Path:
    """The body in a temporary file; 413 above the limit of all bodies."""
    path = request.app[ENGINE].folders.temp / f".upload-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as file:
            await _copy(request, file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


async def _copy(request: web.Request, file: BinaryIO) -> None:
    limit = left = request.app[ENGINE].settings.body_bytes
    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=limit - left)
        await asyncio.to_thread(file.write, chunk)


ROUTES = (
    ("GET", routes.USERDATA, list_files),
    ("GET", routes.USERDATA_V2, list_tree),
    ("GET", routes.USERDATA_FILE, get_file),
    ("POST", routes.USERDATA_FILE, post_file),
    ("DELETE", routes.USERDATA_FILE, delete_file),
    ("POST", routes.USERDATA_MOVE, move_file),
)
