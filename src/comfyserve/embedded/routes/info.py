"""What the engine tells about itself: nodes, system, features (spec section 5)."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import web

import comfyserve
from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.routes.bodies import json_answer, large_answer
from comfyserve.protocol import routes


async def object_info(request: web.Request) -> web.Response:
    """Every node type; recomputed, since choices depend on files."""
    return await large_answer(await asyncio.to_thread(request.app[ENGINE].catalogue.all_info))


async def object_info_one(request: web.Request) -> web.Response:
    """One node type, {} when there is none."""
    names = [request.match_info["class_type"]]
    return json_answer(await asyncio.to_thread(request.app[ENGINE].catalogue.all_info, names))


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


def memory() -> tuple[int, int]:
    """Total and available bytes of this machine."""
    page = os.sysconf("SC_PAGE_SIZE")
    return page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")


ROUTES = (
    ("GET", routes.OBJECT_INFO, object_info),
    ("GET", routes.OBJECT_INFO_ONE, object_info_one),
    ("GET", routes.SYSTEM_STATS, system_stats),
    ("GET", routes.FEATURES, features),
)
