"""Files over HTTP: view, and uploads (spec section 4)."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from comfyserve.core.media import type_of
from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.files import pictures
from comfyserve.embedded.files.folders import inside
from comfyserve.embedded.routes.bodies import bad_request
from comfyserve.embedded.routes.uploads import Upload, Wish, receive, store, store_mask
from comfyserve.protocol import routes
from comfyserve.protocol.files import FILE_TYPES, split_annotation

STYLES = "text/css"
UNSAFE_TYPES = frozenset(
    {
        "text/html",
        "text/html-sandboxed",
        "application/xhtml+xml",
        "text/javascript",
        "application/javascript",
        STYLES,
    }
)
UNKNOWN_TYPE = "application/octet-stream"


async def view(request: web.Request) -> web.StreamResponse:
    """A file, a preview of it, or one of its channels."""
    path = _wanted(request)
    if not path.is_file():
        raise web.HTTPNotFound(text="")
    query = request.query
    if "preview" in query:
        picture = await _picture(pictures.preview, path, query["preview"], query.get("channel", ""))
        return _content(path, *picture)
    channel = query.get("channel")
    if channel in ("rgb", "a"):
        make = pictures.without_alpha if channel == "rgb" else pictures.only_alpha
        return _content(path, *await _picture(make, path))
    kind = content_type(path)
    headers = {"Content-Disposition": _disposition(path), "Content-Type": kind, **guard_of(kind)}
    return web.FileResponse(path, headers=headers)


async def upload_image(request: web.Request) -> web.Response:
    """Store an upload; the same content under the same name is stored once."""
    engine = request.app[ENGINE]
    async with receive(request, engine.folders, engine.settings.body_bytes) as (upload, wish):
        path = await _stored(store, upload, _target(request, upload, wish), wish.overwrite)
    return web.json_response({"name": path.name, "subfolder": wish.subfolder, "type": wish.kind})


async def upload_mask(request: web.Request) -> web.Response:
    """Store an upload as the alpha of a picture that is already here."""
    engine = request.app[ENGINE]
    async with receive(request, engine.folders, engine.settings.body_bytes) as (upload, wish):
        target = _target(request, upload, wish)
        original = _original(request, wish)
        path = target
        if original.is_file():
            path = await _stored(store_mask, upload, original, target, wish.overwrite)
    return web.json_response({"name": path.name, "subfolder": wish.subfolder, "type": wish.kind})


def _wanted(request: web.Request) -> Path:
    """The path a /view asks for; raises 400, 403 or 404 as ComfyUI does."""
    name = request.query.get("filename")
    if name is None:
        raise web.HTTPNotFound(text="")
    name, kind = split_annotation(name, request.query.get("type", "output"))
    if not name or name.startswith("/") or ".." in name or kind not in FILE_TYPES:
        raise web.HTTPBadRequest(text="")
    root = request.app[ENGINE].folders.of_type(kind)
    try:
        folder = inside(root, request.query.get("subfolder", ""))
        # A link inside the folder must not lead out of it either.
        return inside(root, str(folder / Path(name).name))
    except ValueError as error:
        raise web.HTTPForbidden(text="") from error


def _target(request: web.Request, upload: Upload, wish: Wish) -> Path:
    try:
        folder = inside(request.app[ENGINE].folders.of_type(wish.kind), wish.subfolder)
        target = inside(folder, upload.name)
    except ValueError as error:
        raise bad_request(str(error)) from error
    if target.parent != folder:
        raise bad_request("The file name must not contain a folder; use the field subfolder")
    return target


def _original(request: web.Request, wish: Wish) -> Path:
    try:
        given = json.loads(wish.original_ref or "")
        name, kind = split_annotation(str(given["filename"]), str(given.get("type", "output")))
        root = request.app[ENGINE].folders.of_type(kind)
        return inside(inside(root, str(given.get("subfolder", ""))), name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise bad_request(f"original_ref must name a file: {error}") from error


async def _stored(store_it: Callable[..., Path], *args: object) -> Path:
    """Names and contents that the file system or the decoder does not take are the caller's to mend."""
    try:
        return await asyncio.to_thread(store_it, *args)
    except (ValueError, OSError) as error:
        raise bad_request(f"The upload cannot be stored: {error}") from error


async def _picture(make: pictures.Make, path: Path, *wishes: str) -> tuple[bytes, str]:
    try:
        return await asyncio.to_thread(make, path, *wishes)
    except ValueError as error:
        raise web.HTTPUnsupportedMediaType(text=f"{path.name} cannot be read as a picture: {error}") from error


def content_type(path: Path, *, styles: bool = False) -> str:
    """By the name; what a browser would run is never told as what it is. `styles` lets style sheets pass."""
    guessed = type_of(path.name) or mimetypes.guess_type(path.name)[0] or UNKNOWN_TYPE
    unsafe = UNSAFE_TYPES - {STYLES} if styles else UNSAFE_TYPES
    return UNKNOWN_TYPE if guessed in unsafe else guessed


def guard_of(kind: str) -> dict[str, str]:
    """The header that keeps a browser from running the scripts of a drawing or of other XML as the engine's own."""
    return {"Content-Security-Policy": "sandbox"} if kind.endswith("xml") else {}


def _content(path: Path, body: bytes, kind: str) -> web.Response:
    return web.Response(body=body, content_type=kind, headers={"Content-Disposition": _disposition(path)})


def _disposition(path: Path) -> str:
    name = "".join("_" if char in '"\\' or ord(char) < 32 else char for char in path.name)
    return f'filename="{name}"'


ROUTES = (
    ("GET", routes.VIEW, view),
    ("POST", routes.UPLOAD_IMAGE, upload_image),
    ("POST", routes.UPLOAD_MASK, upload_mask),
)
