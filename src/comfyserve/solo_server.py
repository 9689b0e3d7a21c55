"""`comfyserve solo` as a process: the port answers at once, the greeting comes when a call would be run."""

import asyncio
import json
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog

from comfyserve.apis.build import close_streams
from comfyserve.app import wanted_engines
from comfyserve.app.solo import Solo, build_solo, public_settings, standing_solo
from comfyserve.app.solo_life import SoloEnds
from comfyserve.core.redaction import redacted
from comfyserve.serving import (
    EngineChoice,
    check_engine,
    exit_code,
    listen,
    only_one,
    prepare,
    refuse,
    stop_signals,
    url_of,
    web_server,
)
from comfyserve.settings import borrowed
from comfyserve.solo_settings import SoloSettings

FAILED = 1
LOOPBACK = ("127.", "localhost", "::1")
EXAMPLE = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "hello"}},
}
"""A graph that every ComfyUI runs, without any model."""

log = structlog.get_logger(__name__)


async def serve_solo(settings: SoloSettings, *, memory: bool = False, as_json: bool = False) -> int:
    """Run until a signal, or until the engine ends; the answer is the exit code. `memory`: keep the state in a folder
    that goes with the process."""
    prepare(settings)
    with ExitStack() as ending:
        if memory:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="comfyserve-solo-"))
            settings = settings.model_copy(update={"data_dir": Path(folder)})
        try:
            listening = listen(settings.host, settings.port)
        except OSError as error:
            return refuse(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
                "Another server may be running; choose another port with --port or PORT.",
                FAILED,
            )
        try:
            return await exit_code(settings, _run(settings, listening, as_json=as_json), FAILED)
        except SoloEnds as end:
            return refuse(str(end), FAILED)


async def _run(settings: SoloSettings, listening: socket.socket, *, as_json: bool) -> None:
    check_engine(settings)
    with only_one(settings.data_dir):
        solo = await build_solo(settings, settings.public_url.rstrip("/") or url_of(listening))
        _warn(solo)
        async with standing_solo(solo):
            await _serve(solo, listening, as_json=as_json)


async def _serve(solo: Solo, listening: socket.socket, *, as_json: bool) -> None:
    """Serve from the first moment on, until a signal, or until the engine or the start of it fails. Raises what the
    start raised, and SoloEnds."""
    server, stopping = web_server(solo.platform.api), stop_signals()
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    log.info("listening", url=solo.platform.url)
    living = asyncio.create_task(solo.life.live())
    telling = asyncio.create_task(_tell_when_up(solo, as_json=as_json))
    signalled = asyncio.create_task(stopping.wait())
    news: list[asyncio.Future[Any]] = [serving, living, signalled, solo.room.ended]
    await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
    solo.life.leave()
    log.info("stopping", drain_seconds=solo.settings.drain_seconds)
    for task in (living, telling, signalled):
        task.cancel()
    await asyncio.wait({living, telling, signalled})
    await solo.platform.pool.close()
    close_streams(solo.platform.api)
    server.should_exit = True
    await serving
    if solo.room.ended.done():
        raise SoloEnds(solo.room.ended.result())
    if not living.cancelled():
        living.result()


def _warn(solo: Solo) -> None:
    """What an operator should know before somebody else finds out; at `debug`, all that was loaded."""
    log.debug(
        "solo.loaded",
        settings=redacted(public_settings(solo.settings)),
        borrowed=borrowed(solo.settings),
        workflows=[endpoint.path for endpoint in solo.workflows.endpoints],
        uploads=sorted(solo.platform.api.state.stateless.uploads),
    )
    if _is_public(solo.settings.host) and not solo.callers.keyed:
        log.warning(
            "solo.keyless",
            host=solo.settings.host,
            advice="anybody who reaches this port may call; set COMFYSERVE_API_KEYS",
        )
    for path, reason in solo.workflows.unreadable.items():
        log.warning("workflow_unreadable", file=path, reason=reason)


def _is_public(host: str) -> bool:
    return not host.startswith(LOOPBACK)


async def _tell_when_up(solo: Solo, *, as_json: bool) -> None:
    await solo.life.healthy.wait()
    sys.stdout.write((_facts(solo) if as_json else _greeting(solo)) + "\n")
    sys.stdout.flush()


def _engine(solo: Solo) -> EngineChoice:
    wanted = wanted_engines(solo.settings, solo.settings.data_dir)
    return EngineChoice(solo.settings, wanted, solo.platform.workers)


def _facts(solo: Solo) -> str:
    """For programs."""
    facts = {
        "url": solo.platform.url,
        "pid": os.getpid(),
        "engine": _engine(solo).facts(),
        "state": str(solo.settings.data_dir),
        "workflows": [endpoint.path for endpoint in solo.workflows.endpoints],
        "unreadable": dict(solo.workflows.unreadable),
        "keyed": solo.callers.keyed,
    }
    return json.dumps(facts)


def _greeting(solo: Solo) -> str:
    """For people."""
    url, key = solo.platform.url, ""
    if solo.callers.keyed:
        key = '-H "Authorization: Bearer ${COMFYSERVE_API_KEYS%%,*}" '
    lines = [
        "",
        f"  comfyserve solo is ready   {url}",
        f"  engine                     {_engine(solo).sentence()}",
        f"  workflows                  {_workflows([endpoint.path for endpoint in solo.workflows.endpoints])}",
        f"  API docs                   {url}/docs",
        f"  links to files             {_links(solo)}",
        "",
        "  Call it:",
        f"  curl -s {key}-H 'Content-Type: application/json' "
        f"-d {shlex.quote(json.dumps({'prompt': EXAMPLE}))} {url}/prompt",
        "",
    ]
    if _is_public(solo.settings.host) and not solo.callers.keyed:
        lines.append("  Anybody who reaches this port may call. Set COMFYSERVE_API_KEYS to ask for a key.\n")
    return "\n".join(lines)


def _links(solo: Solo) -> str:
    if solo.settings.public_url:
        return f"begin with {solo.platform.url}"
    return f"begin with the address of the call, in webhooks with {solo.platform.url}; COMFYSERVE_PUBLIC_URL names one"


def _workflows(paths: Sequence[str]) -> str:
    if not paths:
        return "none in the workflow folder"
    shown = ", ".join(f"/workflow/{path}" for path in paths[:5])
    return shown if len(paths) <= 5 else f"{shown} and {len(paths) - 5} more"
