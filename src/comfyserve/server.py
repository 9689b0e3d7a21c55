"""The platform as a process: it serves, stops at a signal, and says where it is when it is up."""

import asyncio
import json
import os
import shlex
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from comfyserve.apis.build import close_streams
from comfyserve.app import Platform, build, open_storage, running, seed, wanted_engines, working
from comfyserve.core.errors import DomainError
from comfyserve.logs import configure_logs
from comfyserve.services.record import Record
from comfyserve.serving import (
    ANY_ADDRESS,
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
from comfyserve.settings import PREFIX, Settings, borrowed, read_settings

log = structlog.get_logger(__name__)


async def serve(settings: Settings, *, as_json: bool = False, ledger: type[Record] = Record) -> int:
    """Run the platform until SIGTERM or SIGINT; the answer is the exit code. `ledger` is for tests of its faults."""
    _prepare(settings)
    try:
        listening = listen(settings.host, settings.port)
    except OSError as error:
        return refuse(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Another server may be running; choose another port with --port or COMFYSERVE_PORT."
        )
    return await exit_code(settings, _run_platform(settings, listening, ledger, as_json=as_json))


async def work(settings: Settings, machine: str, *, as_json: bool = False) -> int:
    """Run workers of a machine until SIGTERM or SIGINT; the answer is the exit code."""
    _prepare(settings)
    return await exit_code(settings, _run_workers(settings, machine, as_json=as_json))


async def _run_platform(settings: Settings, listening: socket.socket, ledger: type[Record], *, as_json: bool) -> None:
    check_engine(settings)
    with only_one(settings.data_dir):
        platform = await build(settings, settings.public_url.rstrip("/") or url_of(listening), ledger=ledger)
        async with running(platform):
            await _serve(platform, listening, as_json=as_json)


async def _run_workers(settings: Settings, machine: str, *, as_json: bool) -> None:
    check_engine(settings)
    async with working(settings, machine) as workers:
        stopping = stop_signals()
        engine = EngineChoice(settings, wanted_engines(settings, settings.data_dir), workers)
        facts = {"machine": machine, "pid": os.getpid(), "engine": engine.facts()}
        told = f"\n  comfyserve works for the machine {machine}\n  engine               {engine.sentence()}\n"
        sys.stdout.write(f"{json.dumps(facts) if as_json else told}\n")
        sys.stdout.flush()
        await stopping.wait()
        log.info("stopping", drain_seconds=settings.drain_seconds)


def _prepare(settings: Settings) -> None:
    prepare(settings)
    for name, variable in borrowed(settings).items():
        log.warning("setting_borrowed", setting=f"{PREFIX}{name.upper()}", variable=variable)


async def storage_trouble(settings: Settings) -> str:
    """What is wrong with the place where files are kept, and what to change; empty when it takes and gives files."""
    try:
        await (await open_storage(settings)).close()
    except DomainError as error:
        return error.message
    return ""


@asynccontextmanager
async def temporary_server(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """A platform in `folder` for as long as the context lasts: its address and its admin's key."""
    settings = read_settings(
        data_dir=folder, database="", host="127.0.0.1", port=0, example="none", log_level="warning"
    )
    configure_logs(settings.log_format, settings.log_level)
    listening = listen(settings.host, 0)
    platform = await build(settings, url_of(listening))
    async with running(platform):
        server = web_server(platform.api)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield platform.url, settings.admin_key_file.read_text().strip()
        finally:
            server.should_exit = True
            await serving


async def _serve(platform: Platform, listening: socket.socket, *, as_json: bool) -> None:
    """Say where, serve until a signal; then what executes may end, and be watched ending, before the server stops."""
    server, stopping = web_server(platform.api), stop_signals()
    await _tell(platform, await seed(platform), as_json=as_json)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if stopping.is_set():
        log.info("stopping", drain_seconds=platform.base.settings.drain_seconds)
        await platform.pool.close()
        close_streams(platform.api)
        server.should_exit = True
    await serving


async def _tell(platform: Platform, example: str | None, *, as_json: bool) -> None:
    """Print the page, how to sign in and a call that works as printed; or the same for programs."""
    url, settings = platform.url, platform.base.settings
    sign_in, key_file = await platform.sign_in_url(), str(settings.admin_key_file)
    engine = EngineChoice(settings, wanted_engines(settings, settings.data_dir), platform.workers)
    if as_json:
        facts = {"url": url, "sign_in_url": sign_in, "key_file": key_file, "example": example, "engine": engine.facts()}
        text = json.dumps(facts)
    else:
        text = _greeting(url, sign_in, key_file, example or "NAME", engine.sentence())
        if settings.host in ANY_ADDRESS and not settings.public_url:
            text += f"  Set COMFYSERVE_PUBLIC_URL: callers on other machines cannot use links that begin with {url}\n"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _greeting(url: str, sign_in: str, key_file: str, name: str, engine: str) -> str:
    key = f"$(cat {shlex.quote(key_file)})"
    lines = [
        "",
        f"  comfyserve is up     {url}",
        f"  sign in (once)       {sign_in}",
        f"  engine               {engine}",
        f"  API docs             {url}/docs",
        "",
        "  Call it:",
        f"""  curl -s -H "Authorization: Bearer {key}" -H 'Content-Type: application/json' """
        f"""-d '{{"deployment": "{name}", "inputs": {{}}}}' {url}/v1/runs""",
        "",
    ]
    return "\n".join(lines)
