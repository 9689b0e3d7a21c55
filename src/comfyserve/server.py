"""The platform as a process: a socket, a web server, signals, and what it says when it is up."""

import asyncio
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from comfyserve.apis.build import close_streams
from comfyserve.app import Platform, build, open_storage, running, seed, wanted_engines, working
from comfyserve.app.locking import held
from comfyserve.core.errors import Conflict, DomainError
from comfyserve.engines.fleet import Wanted
from comfyserve.logs import configure_logs
from comfyserve.services.record import Record
from comfyserve.settings import PREFIX, Settings, borrowed, read_settings

log = structlog.get_logger(__name__)

THREAD_SWITCH_SECONDS = 0.0005
"""The database's threads and the event loop hand over to each other many times a run; Python's 5 ms would be felt."""

BACKLOG = 512
GRACE_SECONDS = 5
"""How long open connections may take to end once the server stops."""

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
"""Where a server that listens everywhere is reached on its own machine."""

START_FAILED = 5
LOCK_FILE = "server.lock"


async def serve(settings: Settings, *, as_json: bool = False, ledger: type[Record] = Record) -> int:
    """Run the platform until SIGTERM or SIGINT; the answer is the exit code. `ledger` is for tests of its faults."""
    _prepare(settings)
    try:
        listening = _listen(settings.host, settings.port)
    except OSError as error:
        return _refuse(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Another server may be running; choose another port with --port or COMFYSERVE_PORT."
        )
    return await _exit_code(settings, _run_platform(settings, listening, ledger, as_json=as_json))


async def work(settings: Settings, machine: str, *, as_json: bool = False) -> int:
    """Run workers of a machine until SIGTERM or SIGINT; the answer is the exit code."""
    _prepare(settings)
    return await _exit_code(settings, _run_workers(settings, machine, as_json=as_json))


async def _exit_code(settings: Settings, program: Coroutine[Any, Any, None]) -> int:
    """Run to the end; what cannot be done is a sentence on standard error."""
    try:
        await program
    except DomainError as error:
        return _refuse(error.message)
    except OSError as error:
        return _refuse(f"{error.filename or settings.data_dir}: {error.strerror or error}.")
    return 0


async def _run_platform(settings: Settings, listening: socket.socket, ledger: type[Record], *, as_json: bool) -> None:
    _check_engine(settings)
    with _only_one(settings.data_dir):
        platform = await build(settings, settings.public_url.rstrip("/") or _url(listening), ledger=ledger)
        async with running(platform):
            await _serve(platform, listening, as_json=as_json)


async def _run_workers(settings: Settings, machine: str, *, as_json: bool) -> None:
    _check_engine(settings)
    async with working(settings, machine) as workers:
        stopping = _stop_signals()
        engine = EngineChoice(settings, wanted_engines(settings, settings.data_dir), workers)
        facts = {"machine": machine, "pid": os.getpid(), "engine": engine.facts()}
        told = f"\n  comfyserve works for the machine {machine}\n  engine               {engine.sentence()}\n"
        sys.stdout.write(f"{json.dumps(facts) if as_json else told}\n")
        sys.stdout.flush()
        await stopping.wait()
        log.info("stopping", drain_seconds=settings.drain_seconds)


def _prepare(settings: Settings) -> None:
    configure_logs(settings.log_format, settings.log_level)
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    for name, variable in borrowed(settings).items():
        log.warning("setting_borrowed", setting=f"{PREFIX}{name.upper()}", variable=variable)


async def storage_trouble(settings: Settings) -> str:
    """What is wrong with the place where files are kept, and what to change; empty when it takes and gives files."""
    try:
        await (await open_storage(settings)).close()
    except DomainError as error:
        return error.message
    return ""


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"Error: {sentence}\n")
    return START_FAILED


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory; the lock ends with this process. Raises Conflict when another server has it."""
    with held(data_dir / LOCK_FILE) as ours:
        if not ours:
            raise Conflict(f"another comfyserve uses {data_dir}. Stop it, or choose another folder with --data-dir.")
        yield


@asynccontextmanager
async def temporary_server(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """A platform in `folder` for as long as the context lasts: its address and its admin's key."""
    settings = read_settings(
        data_dir=folder, database="", host="127.0.0.1", port=0, example="none", log_level="warning"
    )
    configure_logs(settings.log_format, settings.log_level)
    listening = _listen(settings.host, 0)
    platform = await build(settings, _url(listening))
    async with running(platform):
        server = _web_server(platform)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield platform.url, settings.admin_key_file.read_text().strip()
        finally:
            server.should_exit = True
            await serving


async def _serve(platform: Platform, listening: socket.socket, *, as_json: bool) -> None:
    """Say where, serve until a signal; then what executes may end, and be watched ending, before the server stops."""
    server, stopping = _web_server(platform), _stop_signals()
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


def _stop_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets."""
    stopping = asyncio.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, _stop, stopping, kind)
    return stopping


def _stop(stopping: asyncio.Event, kind: signal.Signals) -> None:
    """The first signal lets work finish. The second does not, and is as safe as kill -9."""
    if stopping.is_set():
        os._exit(128 + kind)
    stopping.set()


class _Server(uvicorn.Server):
    """uvicorn, without its own signal handlers: ours let the worker finish too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _web_server(platform: Platform) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            platform.api,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=GRACE_SECONDS,
            lifespan="off",
            ws="none",
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves TCP_NODELAY off
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown = ANY_ADDRESS.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _check_engine(settings: Settings) -> None:
    """Raises Conflict for a ComfyUI that cannot be started from where it is said to be."""
    if settings.comfy_url or settings.comfy_command or not settings.comfy_home:
        return
    main = Path(settings.comfy_home).expanduser() / "main.py"
    if not main.is_file():
        by = borrowed(settings).get("comfy_home", f"{PREFIX}COMFY_HOME")
        raise Conflict(f"there is no {main}. {by} must be the folder of a ComfyUI.")


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


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs here, and what says so."""

    settings: Settings
    wanted: Wanted
    workers: int

    def deciding(self) -> Sequence[str]:
        """The variables that chose it; none for the embedded engine."""
        taken = borrowed(self.settings)
        names = ("comfy_url",) if self.wanted.kind == "remote" else ("comfy_command", "comfy_home")
        return [taken.get(name, f"{PREFIX}{name.upper()}") for name in names if getattr(self.settings, name)]

    def sentence(self) -> str:
        """For people."""
        if not self.workers:
            return "none here: start `comfyserve worker` with the same data directory"
        number = f"{self.workers} x " if self.workers > 1 else ""
        names = self.deciding()
        say = "say" if len(names) > 1 else "says"
        because = f"\n{' ' * 23}because {' and '.join(names)} {say} so" if names else ""
        return f"{number}{self.wanted.told()}{because}"

    def facts(self) -> dict[str, Any]:
        """For programs."""
        told = {"kind": self.wanted.kind, "text": self.wanted.told(), "workers": self.workers}
        return {**told, "from": self.deciding(), "borrowed": borrowed(self.settings)}
