"""`comfyserve solo` as a user starts it: a process with variables, a folder of its own, a free loopback port."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil
from aiohttp import web

from comfyserve.originals import AMBIENT, ORIGINALS_OF_SOLO

SECONDS = 60
FOREIGN = {original.variable for original in ORIGINALS_OF_SOLO} | AMBIENT.keys()


@dataclass
class SoloProgram:
    """A running solo: `url` answers from its first moment on, `facts` is what it says when it is ready."""

    process: asyncio.subprocess.Process
    url: str
    log: Path
    http: aiohttp.ClientSession
    lines: list[str] = field(default_factory=list)

    @classmethod
    async def start(cls, folder: Path, http: aiohttp.ClientSession, *flags: str, **variables: str) -> Self:
        """Start it with these variables (names as they are) and wait until it listens."""
        log, begin = _log_in(folder)
        known = {name: value for name, value in os.environ.items() if not name.startswith("COMFYSERVE_")}
        environment = {name: value for name, value in known.items() if name not in FOREIGN}
        environment |= {
            "HOME": str(folder),
            "HOST": "127.0.0.1",
            "PORT": "0",
            "WORKFLOW_DIR": str(folder / "workflows"),
        }
        environment |= {"COMFYSERVE_SIMULATED_STEP_MS": "5"} | variables
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "comfyserve", "solo", *flags),
                env=environment,
                cwd=folder,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        return cls(process, await _url(process, log, begin), log, http)

    async def greeting(self) -> str:
        """What it prints when it is ready."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while line := (await self.process.stdout.readline()).decode():
                self.lines.append(line)
                if "curl" in line:
                    return "".join(self.lines)
        raise AssertionError(f"it ended: {self.log.read_text()}")

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and body."""
        async with self.http.get(self.url + path, headers=headers) as answer:
            return answer.status, json.loads(await answer.read())

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Status and body."""
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            return answer.status, json.loads(await answer.read())

    def engines(self) -> list[psutil.Process]:
        """The engine processes that run under it, without their reapers."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if child.cmdline()[1:3] == ["-m", "comfyserve.embedded"]]

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.wait_for(self.process.wait(), SECONDS)

    async def stop(self, kind: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the answer is the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(kind)
        return await self.ended()

    def log_lines(self) -> Sequence[dict[str, Any]]:
        """What it logged, but for lines that are no JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


def _log_in(folder: Path) -> tuple[Path, int]:
    """The log in a folder, and where this start begins in it."""
    folder.mkdir(exist_ok=True)
    log = folder / "solo.log"
    return log, log.stat().st_size if log.exists() else 0


def _after(log: Path, begin: int) -> str:
    return log.read_bytes()[begin:].decode()


async def _url(process: asyncio.subprocess.Process, log: Path, begin: int) -> str:
    """Where it listens, as its log says; no event tells that the log has grown."""
    async with asyncio.timeout(SECONDS):
        while True:
            told = _after(log, begin)
            listening = [line for line in told.splitlines() if '"event": "listening"' in line]
            if listening:
                return str(json.loads(listening[0])["url"])
            if process.returncode is not None:
                raise AssertionError(f"it ended with {process.returncode}: {told}")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def solo(folder: Path, *flags: str, **variables: str) -> AsyncIterator[SoloProgram]:
    """A solo that is ready; it is stopped at the end, whatever happened."""
    async with starting(folder, *flags, **variables) as running:
        await running.greeting()
        yield running


@asynccontextmanager
async def starting(folder: Path, *flags: str, **variables: str) -> AsyncIterator[SoloProgram]:
    """One that listens, and no more so far."""
    connector = aiohttp.TCPConnector(limit=600)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=240)) as http:
        running = await SoloProgram.start(folder, http, *flags, **variables)
        try:
            yield running
        finally:
            await running.stop(signal.SIGTERM)


@dataclass
class Receiver:
    """A receiver of webhooks: what came, by id, and with which paths."""

    url: str
    asked: list[str] = field(default_factory=list)
    calls: asyncio.Queue[tuple[dict[str, str], Any]] = field(default_factory=asyncio.Queue)

    async def ids(self, wanted: set[str], seconds: float = SECONDS) -> dict[str, Any]:
        """The bodies for these request ids, once all have come."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(seconds):
            while not wanted <= found.keys():
                _, body = await self.calls.get()
                found[body["id"]] = body
        return found


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """One that takes everything."""

    async def receive(request: web.Request) -> web.Response:
        here.asked.append(request.raw_path)
        here.calls.put_nowait((dict(request.headers), json.loads(await request.read())))
        return web.Response()

    app = web.Application(client_max_size=2**30)
    app.router.add_post("/{tail:.*}", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = Receiver(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    try:
        yield here
    finally:
        await runner.cleanup()
