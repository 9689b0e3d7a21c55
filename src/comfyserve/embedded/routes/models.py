"""Model files: lists, what a file says of itself, and pictures beside it (spec sections 4 and 5)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from aiohttp import web

from comfyserve.core.media import type_of
from comfyserve.core.safetensors import METADATA, read_header
from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.files import pictures
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.routes.bodies import json_answer
from comfyserve.protocol import routes

METADATA_BYTES = 1024 * 1024
COVER_HEADER_BYTES = 8 * 1024 * 1024
NOT_SHOWN = frozenset({"configs", "custom_nodes"})
"""Model folders that /experiment/models leaves out."""
COVERS = "ssmd_cover_images"
SAFETENSORS = ".safetensors"


async def get_folders(request: web.Request) -> web.Response:
    """The names of the model folders."""
    return json_answer(list(request.app[ENGINE].folders.model_folders))


async def get_files(request: web.Request) -> web.Response:
    """The files of one model folder, 404 when the folder has no such name."""
    return json_answer(await _files(request, request.match_info["folder"]))


async def get_embeddings(request: web.Request) -> web.Response:
    """The embeddings, without extension."""
    names = await _files(request, "embeddings")
    return json_answer([str(PurePosixPath(name).with_suffix("")) for name in names])


async def get_folders_with_paths(request: web.Request) -> web.Response:
    """Each folder of models with its paths."""
    paths = model_folders(request.app[ENGINE].folders)
    return json_answer([{"name": name, "folders": paths[name]} for name in paths if name not in NOT_SHOWN])


async def get_files_with_times(request: web.Request) -> web.Response:
    """The files of one folder with size and times (seconds)."""
    folders, folder = request.app[ENGINE].folders, request.match_info["folder"]
    names = await _files(request, folder)
    return json_answer(await asyncio.to_thread(_all_facts, folders, folder, names))


async def get_preview(request: web.Request) -> web.Response:
    """The picture of a model as WebP: one that lies beside it, or one inside it. 404 without one."""
    names, folders = request.match_info, request.app[ENGINE].folders
    path = folders.model_path(names["folder"], names["name"]) if names["path_index"] == "0" else None
    cover = None if path is None else await asyncio.to_thread(_cover, path)
    if cover is None:
        raise web.HTTPNotFound(text="")
    return web.Response(body=cover, content_type="image/webp")


async def view_metadata(request: web.Request) -> web.Response:
    """What a safetensors file says of itself; 404 when it says nothing."""
    name, folders = request.query.get("filename", ""), request.app[ENGINE].folders
    path = folders.model_path(request.match_info["folder"], name) if name.endswith(SAFETENSORS) else None
    head = None if path is None else await asyncio.to_thread(_header, path, METADATA_BYTES)
    if head is None or METADATA not in head:
        raise web.HTTPNotFound(text="")
    return json_answer(head[METADATA])


def model_folders(folders: Folders) -> dict[str, list[str]]:
    """Model folder -> its paths."""
    return {name: list(paths) for name, (paths, _) in folders.model_folders.items()}


async def _files(request: web.Request, folder: str) -> list[str]:
    if folder not in request.app[ENGINE].folders.model_folders:
        raise web.HTTPNotFound(text="")
    return await asyncio.to_thread(request.app[ENGINE].folders.model_files, folder)


def _all_facts(folders: Folders, folder: str, names: list[str]) -> list[dict[str, Any]]:
    return [_facts(folders.model_path(folder, name), name) for name in names]


def _facts(path: Path | None, name: str) -> dict[str, Any]:
    """A bundled name has no file, and one may be deleted after it was listed: size and times are 0."""
    stat = None
    with suppress(OSError):
        stat = path.stat() if path is not None else None
    return {
        "name": name,
        "pathIndex": 0,
        "modified": stat.st_mtime if stat else 0.0,
        "created": stat.st_ctime if stat else 0.0,
        "size": stat.st_size if stat else 0,
    }


def _header(path: Path, most: int) -> dict[str, Any] | None:
    """The header of a safetensors file; None as well when it cannot be read, or not any more."""
    try:
        with path.open("rb") as file:
            return read_header(file, most)
    except OSError:
        return None


def _cover(model: Path) -> bytes | None:
    try:
        beside = next(iter(sorted(_pictures_beside(model))), None)
        source: Path | BinaryIO | None = beside or _cover_inside(model)
        return None if source is None else pictures.as_webp(source)
    except (ValueError, OSError):
        return None


def _pictures_beside(model: Path) -> list[Path]:
    """'x.png' and 'x.preview.png' are pictures of 'x.safetensors'."""
    stems = {model.stem, f"{model.stem}.preview"}
    with os.scandir(model.parent) as entries:
        names = [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    return [path for path in names if path.stem in stems and (type_of(path.name) or "").startswith("image/")]


def _cover_inside(model: Path) -> BinaryIO | None:
    head = _header(model, COVER_HEADER_BYTES) if model.suffix == SAFETENSORS else None
    try:
        covers = json.loads((head or {}).get(METADATA, {}).get(COVERS, "[]"))
        return io.BytesIO(base64.b64decode(covers[0], validate=True))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, binascii.Error):
        return None


ROUTES = (
    ("GET", routes.MODELS, get_folders),
    ("GET", routes.MODELS_ONE, get_files),
    ("GET", routes.EMBEDDINGS, get_embeddings),
    ("GET", routes.EXPERIMENT_MODELS, get_folders_with_paths),
    ("GET", routes.EXPERIMENT_MODELS_PREVIEW, get_preview),
    ("GET", routes.EXPERIMENT_MODELS_ONE, get_files_with_times),
    ("GET", routes.VIEW_METADATA, view_metadata),
)
