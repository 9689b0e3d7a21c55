"""What only the editor asks: logs and folders. These routes exist without the prefix (spec section 5)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from aiohttp import web

from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.logs import terminal_size
from comfyserve.embedded.routes.bodies import bad_request, json_answer, read_object
from comfyserve.embedded.routes.models import model_folders
from comfyserve.protocol import routes
from comfyserve.protocol.files import FILE_TYPES


async def get_logs(request: web.Request) -> web.Response:
    """The last log lines as one text."""
    entries = request.app[ENGINE].logs.entries()
    return json_answer("".join(f"{entry['t']} - {entry['m']}" for entry in entries))


async def get_raw_logs(request: web.Request) -> web.Response:
    """The last log lines one by one."""
    return json_answer({"entries": request.app[ENGINE].logs.entries(), "size": terminal_size()})


async def subscribe_logs(request: web.Request) -> web.Response:
    """Begin or end sending new log lines to a websocket client."""
    wish = await read_object(request)
    client_id, panel = wish.get("clientId"), request.app[ENGINE].log_panel
    if not isinstance(client_id, str):
        raise bad_request("clientId must be the id of a websocket client")
    if wish.get("enabled"):
        panel.subscribe(client_id)
    else:
        panel.unsubscribe(client_id)
    return web.Response()


async def get_folder_paths(request: web.Request) -> web.Response:
    """Model folder -> the paths where its files are looked for."""
    return json_answer(model_folders(request.app[ENGINE].folders))


async def get_files(request: web.Request) -> web.Response:
    """The names of the files in the input, output or temp folder, newest first."""
    kind = request.match_info["kind"]
    if kind not in FILE_TYPES:
        return json_answer({"error": "Invalid directory type"}, status=400)
    return json_answer(await asyncio.to_thread(_newest_first, request.app[ENGINE].folders.of_type(kind)))


async def get_node_packs(request: web.Request) -> web.Response:
    """The packs of custom_nodes: import time, nodes, and why one failed."""
    return json_answer([pack.row() for pack in request.app[ENGINE].packs.loaded])


def _newest_first(folder: Path) -> list[str]:
    times: dict[str, float] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file() and not entry.name.startswith("."):
                times[entry.name] = _modified(entry)
    return sorted(times, key=lambda name: -times[name])


def _modified(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # deleted meanwhile
        return 0.0


ROUTES = (
    ("GET", routes.INTERNAL_LOGS, get_logs),
    ("GET", routes.INTERNAL_LOGS_RAW, get_raw_logs),
    ("PATCH", routes.INTERNAL_LOGS_SUBSCRIBE, subscribe_logs),
    ("GET", routes.INTERNAL_FOLDER_PATHS, get_folder_paths),
    ("GET", routes.INTERNAL_FILES, get_files),
    ("GET", routes.INTERNAL_NODE_PACKS, get_node_packs),
)
"""Without the prefix only."""
