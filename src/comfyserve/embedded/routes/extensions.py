"""What node packages add to the editor: scripts, translations, example workflows (spec section 5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.files import pack_files
from comfyserve.embedded.files.folders import file_below
from comfyserve.embedded.routes.bodies import json_answer
from comfyserve.embedded.routes.front_end import FRONT_END
from comfyserve.protocol import routes


async def list_scripts(request: web.Request) -> web.Response:
    """The scripts that the editor imports: its own, then those of the packages."""
    return json_answer(await asyncio.to_thread(_scripts, request.app))


async def get_script(request: web.Request) -> web.StreamResponse:
    """A file of a package's WEB_DIRECTORY, or of the editor's own extensions."""
    names = request.match_info
    folder = request.app[ENGINE].web_folders.get(names["pack"])
    if folder is None:
        return _file(request.app[FRONT_END].file(request.path))
    return _file(file_below(folder, names["path"]))


async def get_translations(request: web.Request) -> web.Response:
    """The texts of all packages, by language."""
    return json_answer(await asyncio.to_thread(pack_files.translations, request.app[ENGINE].catalogue.pack_folders))


async def list_templates(request: web.Request) -> web.Response:
    """The example workflows of the packages."""
    return json_answer(await asyncio.to_thread(pack_files.templates, request.app[ENGINE].catalogue.pack_folders))


async def get_template(request: web.Request) -> web.StreamResponse:
    """One example workflow, or the picture of one."""
    names = request.match_info
    pack = request.app[ENGINE].catalogue.pack_folders.get(names["pack"])
    return _file(None if pack is None else pack_files.template_file(pack, names["path"]))


async def list_subgraphs(_: web.Request) -> web.Response:
    """No subgraphs are published by the server."""
    return json_answer({})


async def get_subgraph(_: web.Request) -> web.Response:
    """404: there are none."""
    raise web.HTTPNotFound(text="")


def _scripts(app: web.Application) -> list[str]:
    own = app[FRONT_END].folder
    core = pack_files.scripts(own / "extensions", "/extensions") if own is not None else []
    return [*core, *pack_files.pack_scripts(app[ENGINE].web_folders)]


def _file(path: Path | None) -> web.StreamResponse:
    if path is None:
        raise web.HTTPNotFound(text="")
    return web.FileResponse(path)


ROUTES = (
    ("GET", routes.EXTENSIONS, list_scripts),
    ("GET", routes.I18N, get_translations),
    ("GET", routes.WORKFLOW_TEMPLATES, list_templates),
    ("GET", routes.GLOBAL_SUBGRAPHS, list_subgraphs),
    ("GET", routes.GLOBAL_SUBGRAPHS_ONE, get_subgraph),
)

STATIC_ROUTES = (
    ("GET", routes.EXTENSION_FILE, get_script),
    ("GET", routes.WORKFLOW_TEMPLATE_FILE, get_template),
)
"""Not doubled."""
