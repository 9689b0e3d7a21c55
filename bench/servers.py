"""The programs under measurement, started on loopback and stopped by the handle that started them."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import aiohttp
import psutil

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running program: its address, its key (empty for an engine) and its process."""

    url: str
    key: str
    pid: int
    folder: Path

    def cpu_seconds(self) -> float:
        """CPU time so far, with all children that are alive."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def own_cpu_seconds(self) -> float:
        """CPU time so far, without its children."""
        return sum(psutil.Process(self.pid).cpu_times()[:2])

    def peak_mib(self) -> float:
        """The most resident memory so far, without its children."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024

    def memory_mib(self) -> float:
        """Resident memory now, with all children."""
        return sum(process.memory_info().rss for process in self._processes()) / 1024**2

    def disk_mib(self) -> float:
        """MiB on disk of its data folder now; files may vanish while we look."""
        found = subprocess.run(["du", "-sk", str(self.folder)], capture_output=True, text=True, check=False)
        return int(found.stdout.split()[0]) / 1024

    def _processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]


@asynccontextmanager
async def engine(work_ms: int, *arguments: str) -> AsyncIterator[Server]:
    """The embedded engine on its own."""
    port = free_port()
    with TemporaryDirectory(prefix="bench-engine-") as folder:
        command = [sys.executable, "-m", "comfyserve.embedded", "--port", str(port), "--base-directory", folder]
        async with _running([*command, "--work-ms", str(work_ms), *arguments], {}) as pid:
            await _answers(f"http://127.0.0.1:{port}/system_stats")
            yield Server(f"http://127.0.0.1:{port}", "", pid, Path(folder))


def listening_at(url: str) -> Server:
    """A server of this machine that runs already, found by the port it listens on. LookupError when nobody does."""
    port = urlsplit(url).port
    for connection in psutil.net_connections("tcp"):
        if (
            connection.status == psutil.CONN_LISTEN
            and getattr(connection.laddr, "port", None) == port
            and connection.pid
        ):
            return Server(url.rstrip("/"), "", connection.pid, Path.cwd())
    raise LookupError(f"nobody listens at {url}")


@asynccontextmanager
async def platform(work_ms: int, **settings: str) -> AsyncIterator[Server]:
    """`comfyserve up` with nothing configured, in a folder of its own."""
    port = free_port()
    with TemporaryDirectory(prefix="bench-platform-") as folder:
        environment = {
            "COMFYSERVE_DATA_DIR": folder,
            "COMFYSERVE_PORT": str(port),
            "COMFYSERVE_ADMIN_KEY": "bench-key",
            "COMFYSERVE_EXAMPLE": "none",
            "COMFYSERVE_LOG_LEVEL": "warning",
            "COMFYSERVE_ENGINE_WORK_MS": str(work_ms),
        } | {f"COMFYSERVE_{name.upper()}": value for name, value in settings.items()}
        async with _running([sys.executable, "-m", "comfyserve", "up"], environment) as pid:
            await _answers(f"http://127.0.0.1:{port}/ready")
            yield Server(f"http://127.0.0.1:{port}", "bench-key", pid, Path(folder))


@asynccontextmanager
async def solo(work_ms: int, **variables: str) -> AsyncIterator[Server]:
    """`comfyserve solo` with the embedded engine, in folders of its own; it may call this machine."""
    port = free_port()
    with TemporaryDirectory(prefix="bench-solo-") as folder:
        environment = {
            "COMFYSERVE_DATA_DIR": f"{folder}/state",
            "COMFYSERVE_COMFY_HOME": "",
            "COMFYSERVE_LOG_LEVEL": "warning",
            "COMFYSERVE_ENGINE_WORK_MS": str(work_ms),
            "COMFYSERVE_ALLOW_PRIVATE_NETWORK": "on",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "CACHE_DIR": f"{folder}/cache",
            "WORKFLOW_DIR": f"{folder}/workflows",
        } | variables
        async with _running([sys.executable, "-m", "comfyserve", "solo"], environment) as pid:
            await _answers(f"http://127.0.0.1:{port}/ready")
            yield Server(f"http://127.0.0.1:{port}", "", pid, Path(folder))


@asynccontextmanager
async def object_store() -> AsyncIterator[str]:
    """The address of moto's S3."""
    port = free_port()
    async with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {}):
        await _answers(f"http://127.0.0.1:{port}/moto-api/")
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _running(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=None if os.environ.get("BENCH_VERBOSE") else asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(url: str) -> None:
    async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as session:
        await until_up(session, url)


async def until_up(session: aiohttp.ClientSession, url: str) -> None:
    """Return when something answers there, and well."""
    up = False
    while not up:
        up = await _is_up(session, url)
        await asyncio.sleep(0.02)


async def _is_up(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def free_port() -> int:
    """A loopback port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
