"""What the engine tells about itself: nodes, models, system, and the little the front end stores (spec 5 and 6)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from aiohttp import web

import comfyserve
from comfyserve.embedded.engine import ENGINE, Engine
from comfyserve.embedded.routes.bodies import bad_request, read_object
from comfyserve.protocol import routes
from comfyserve.protocol.files import MODEL_FOLDER_ALIASES, MODEL_FOLDERS

SETTINGS_FILE = "comfy.settings.json"


async def object_info(request: web.Request) -> web.Response:
    """Every node type; recomputed, since choices depend on files."""
    return _json_text(await asyncio.to_thread(_all_info, request.app[ENGINE]))


async def object_info_one(request: web.Request) -> web.Response:
    """One node type, {} when there is none."""
    name = request.match_info["class_type"]
    catalogue = request.app[ENGINE].catalogue
    return _json_text(_dumps({name: catalogue.info(name)} if name in catalogue else {}))


async def system_stats(request: web.Request) -> web.Response:
    """The claimed ComfyUI release, this process, and its memory; the only device is the CPU."""
    total, free = memory()
    system = {
        "os": os.name,
        "ram_total": total,
        "ram_free": free,
        "comfyui_version": routes.COMFYUI_VERSION,
        "required_frontend_version": routes.FRONTEND_VERSION,
        "installed_templates_version": None,
        "required_templates_version": None,
        "python_version": sys.version,
        "pytorch_version": "none",
        "embedded_python": False,
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "comfyserve_version": comfyserve.__version__,
    }
    device = {
        "name": "cpu (simulated models)",
        "type": "cpu",
        "index": None,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }
    return web.json_response({"system": system, "devices": [device]})


async def features(request: web.Request) -> web.Response:
    """The server's feature flags."""
    return web.json_response(request.app[ENGINE].features)


async def models(_: web.Request) -> web.Response:
    """The names of the model folders."""
    return web.json_response(MODEL_FOLDERS)


async def models_one(request: web.Request) -> web.Response:
    """The files of one model folder, 404 when the folder has no such name."""
    folder = request.match_info["folder"]
    if MODEL_FOLDER_ALIASES.get(folder, folder) not in MODEL_FOLDERS:
        return web.Response(status=404)
    return web.json_response(await asyncio.to_thread(request.app[ENGINE].folders.model_files, folder))


async def embeddings(request: web.Request) -> web.Response:
    """The embeddings, without extension."""
    names = await asyncio.to_thread(request.app[ENGINE].folders.model_files, "embeddings")
    return web.json_response([str(PurePosixPath(name).with_suffix("")) for name in names])


async def extensions(_: web.Request) -> web.Response:
    """No scripts of ours: a current front end has its own compiled in."""
    return web.json_response([])


async def users(_: web.Request) -> web.Response:
    """A single user, whose settings live on the server."""
    return web.json_response({"storage": "server", "migrated": True})


async def get_settings(request: web.Request) -> web.Response:
    """All settings of the front end."""
    return web.json_response(_load_settings(request))


async def get_setting(request: web.Request) -> web.Response:
    """One setting, null when it is not set."""
    return web.json_response(_load_settings(request).get(request.match_info["key"]))


async def post_settings(request: web.Request) -> web.Response:
    """Merge an object into the settings."""
    _save_settings(request, _load_settings(request) | await read_object(request))
    return web.Response()


async def post_setting(request: web.Request) -> web.Response:
    """Set one setting to any JSON value."""
    try:
        value = json.loads(await request.read())
    except ValueError as error:
        raise bad_request(f"The body is not valid JSON: {error}") from error
    _save_settings(request, _load_settings(request) | {request.match_info["key"]: value})
    return web.Response()


def memory() -> tuple[int, int]:
    """Total and available bytes of this machine."""
    page = os.sysconf("SC_PAGE_SIZE")
    return page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")


def _all_info(engine: Engine) -> str:
    return _dumps({name: engine.catalogue.info(name) for name in engine.catalogue})


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)


def _json_text(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


def _load_settings(request: web.Request) -> dict[str, Any]:
    path = request.app[ENGINE].folders.base / SETTINGS_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise web.HTTPInternalServerError(text=f"{SETTINGS_FILE} is not valid JSON: {error}") from error
    return stored if isinstance(stored, dict) else {}


def _save_settings(request: web.Request, values: dict[str, Any]) -> None:
    path = request.app[ENGINE].folders.base / SETTINGS_FILE
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(values, indent=2), encoding="utf-8")
    fresh.replace(path)


ROUTES = (
    ("GET", routes.OBJECT_INFO, object_info),
    ("GET", routes.OBJECT_INFO_ONE, object_info_one),
    ("GET", routes.SYSTEM_STATS, system_stats),
    ("GET", routes.FEATURES, features),
    ("GET", routes.MODELS, models),
    ("GET", routes.MODELS_ONE, models_one),
    ("GET", routes.EMBEDDINGS, embeddings),
    ("GET", routes.EXTENSIONS, extensions),
    ("GET", routes.USERS, users),
    ("GET", routes.SETTINGS, get_settings),
    ("GET", routes.SETTINGS_ONE, get_setting),
    ("POST", routes.SETTINGS, post_settings),
    ("POST", routes.SETTINGS_ONE, post_setting),
)
