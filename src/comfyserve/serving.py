"""What every server of ours is as a process: a socket, a web server, signals, and what it says of its engine."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from comfyserve.app.locking import held
from comfyserve.core.errors import Conflict, DomainError
from comfyserve.engines.fleet import Wanted
from comfyserve.logs import configure_logs
from comfyserve.settings import PREFIX, Settings, borrowed

THREAD_SWITCH_SECONDS = 0.0005
"""The database's threads and the event loop hand over to each other many times a run; Python's 5 ms would be felt."""

BACKLOG = 512
GRACE_SECONDS = 5
"""How long open connections may take to end once the server stops."""

EVERY_ADDRESS = "::"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", EVERY_ADDRESS: "127.0.0.1"}
"""Where a server that listens everywhere is reached on its own machine."""

START_FAILED = 5
LOCK_FILE = "server.lock"


def prepare(settings: Settings) -> None:
    """What a process does before it serves or works."""
    configure_logs(settings.log_format, settings.log_level)
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)


async def exit_code(settings: Settings, program: Coroutine[Any, Any, None], failed: int = START_FAILED) -> int:
    """Run to the end; what cannot be done is a sentence on standard error, and `failed`."""
    try:
        await program
    except DomainError as error:
        return refuse(error.message, failed)
    except OSError as error:
        return refuse(f"{error.filename or settings.data_dir}: {error.strerror or error}.", failed)
    return 0


def refuse(sentence: str, code: int = START_FAILED) -> int:
    """Say why the program ends; the answer is its exit code."""
    sys.stderr.write(f"Error: {sentence}\n")
    return code


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory; the lock ends with this process. Raises Conflict when another server has it."""
    with held(data_dir / LOCK_FILE) as ours:
        if not ours:
            raise Conflict(f"another comfyserve uses {data_dir}. Stop it, or choose another folder with --data-dir.")
        yield


def stop_signals() -> asyncio.Event:
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


def web_server(api: FastAPI) -> uvicorn.Server:
    """A web server for a socket that listens already."""
    return _Server(
        uvicorn.Config(
            api,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=GRACE_SECONDS,
            lifespan="off",
            ws="none",
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; `::` takes IPv4, too, also on a machine without IPv6. Raises OSError."""
    if host == EVERY_ADDRESS and not _has_ipv6():
        host = "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves TCP_NODELAY off
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == EVERY_ADDRESS:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _has_ipv6() -> bool:
    """Whether the kernel lets us bind at all: in many containers IPv6 is compiled in and switched off."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tried:
            tried.bind((EVERY_ADDRESS, 0))
    except OSError:
        return False
    return True


def url_of(listening: socket.socket) -> str:
    """Where a listening socket is reached on its own machine."""
    host, port = listening.getsockname()[:2]
    shown = ANY_ADDRESS.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def check_engine(settings: Settings) -> None:
    """Raises Conflict for a ComfyUI that cannot be started from where it is said to be."""
    if settings.comfy_url or settings.comfy_command or not settings.comfy_home:
        return
    main = Path(settings.comfy_home).expanduser() / "main.py"
    if not main.is_file():
        by = borrowed(settings).get("comfy_home", f"{PREFIX}COMFY_HOME")
        raise Conflict(f"there is no {main}. {by} must be the folder of a ComfyUI.")


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
