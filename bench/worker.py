"""What the worker costs: the engine's idle time between two runs, and the server's memory under large files."""

import asyncio
import io
import json
import shlex
import statistics
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from aiohttp import web
from PIL import Image
from rich.console import Console

from bench import servers
from bench.load import spread

RUNS = 120
WORK_MS = 50
LARGE = 20 * 1024 * 1024
AT_ONCE = 8
OUTPUTS = 32
OUTPUT_BYTES = 12_600_000
CLOCK = "clock.jsonl"
PACKS = Path(__file__).parent / "packs"


async def worker(console: Console, rounds: int) -> None:
    """Print the idle time with inputs by URL beside the engine's own, and the peak of the server's memory."""
    async with _origin() as origin:
        idle, alone = [], []
        for _ in range(rounds):
            idle.append(await _idle_of_platform(origin))
            alone.append(await _idle_of_engine())
        for name, samples in (("through comfyserve, inputs by URL", idle), ("the engine fed directly", alone)):
            p50 = spread([statistics.median(sample) for sample in samples], 2)
            p95 = spread([sorted(sample)[int(len(sample) * 0.95)] for sample in samples], 2)
            console.print(f"engine idle between two runs, {name}: p50 {p50} ms, p95 {p95} ms (min / median / max)")
        peaks = [await _peak_memory(origin) for _ in range(rounds)]
        console.print(
            f"server's peak memory, {AT_ONCE} inputs of {LARGE >> 20} MiB at once, then {OUTPUTS} outputs of "
            f"{OUTPUT_BYTES / 1e6:.1f} MB: {spread([peak for _, peak in peaks], 0)} MiB "
            f"(idle before: {spread([before for before, _ in peaks], 0)})"
        )


async def _idle_of_platform(origin: str) -> list[float]:
    """Milliseconds between the end of one run's work and the begin of the next, all runs waiting in our queue."""
    async with _platform() as (session, server):
        runs = [await _submit(session, _work(f"{origin}/small/{number}.png", number)) for number in range(RUNS)]
        for run_id in runs:
            await _ended(session, run_id)
        return _gaps(server.folder)


async def _idle_of_engine() -> list[float]:
    """The same with all prompts in the engine's own queue."""
    async with AsyncExitStack() as stack:
        arguments = stack.enter_context(packs())
        server = await stack.enter_async_context(servers.engine(0, *arguments))
        session = await stack.enter_async_context(aiohttp.ClientSession(server.url))
        (server.folder / "input").mkdir(exist_ok=True)
        (server.folder / "input" / "small.png").write_bytes(_small_picture(0))
        for number in range(RUNS):
            async with session.post("/prompt", json={"prompt": _work("small.png", number)}) as answer:
                answer.raise_for_status()
        await _emptied(session)
        return _gaps(server.folder)


async def _peak_memory(origin: str) -> tuple[float, float]:
    """Resident MiB of the server alone, without its engine: before, and the highest."""
    async with _platform() as (session, server):
        before = _resident(server.pid, "VmRSS")
        load = [_work(f"{origin}/large/{number}.bmp", number) for number in range(AT_ONCE)]
        for run_id in await asyncio.gather(*(_submit(session, graph) for graph in load)):
            await _ended(session, run_id)
        save = {"files": OUTPUTS, "size": OUTPUT_BYTES, "filename_prefix": "bench/large"}
        await _ended(session, await _submit(session, {"1": {"class_type": "BenchFiles", "inputs": save}}))
        return before, _resident(server.pid, "VmHWM")


@asynccontextmanager
async def _platform() -> AsyncIterator[tuple[aiohttp.ClientSession, servers.Server]]:
    with packs() as arguments:
        settings = {"embedded_args": shlex.join(arguments), "allow_private_network": "on"}
        async with servers.platform(0, **settings) as server:
            headers = {"Authorization": f"Bearer {server.key}"}
            async with aiohttp.ClientSession(server.url, headers=headers) as session:
                yield session, server


@contextmanager
def packs() -> Iterator[tuple[str, str]]:
    """The arguments with which an engine loads the nodes of the measurement."""
    with TemporaryDirectory(prefix="bench-packs-") as folder:
        config = Path(folder) / "paths.yaml"
        config.write_text(f"bench:\n  custom_nodes: {PACKS}\n")
        yield "--extra-model-paths-config", str(config)


async def _submit(session: aiohttp.ClientSession, graph: dict[str, Any]) -> str:
    async with session.post("/v1/runs", json={"graph": graph}) as answer:
        if answer.status >= 300:
            raise RuntimeError(await answer.text())
        return str((await answer.json())["id"])


async def _ended(session: aiohttp.ClientSession, run_id: str) -> None:
    while True:
        async with session.get(f"/v1/runs/{run_id}") as answer:
            run = await answer.json()
        if run["status"] == "success":
            return
        if run["status"] in ("failed", "cancelled", "timeout"):
            raise RuntimeError(f"run {run_id} ended as {run['status']}: {run['error']}")
        await asyncio.sleep(0.1)


async def _emptied(session: aiohttp.ClientSession) -> None:
    while True:
        async with session.get("/prompt") as answer:
            if not (await answer.json())["exec_info"]["queue_remaining"]:
                return
        await asyncio.sleep(0.2)


def _work(image: str, number: int) -> dict[str, Any]:
    inputs = {"image": ["1", 0], "milliseconds": WORK_MS, "number": number}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "BenchWork", "inputs": inputs},
    }


def _gaps(folder: Path) -> list[float]:
    clock = next(folder.rglob(CLOCK))
    times = [json.loads(line) for line in clock.read_text().splitlines()]
    return [(later[1] - earlier[2]) * 1000 for earlier, later in pairwise(times)][5:]


def _resident(pid: int, name: str) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


@asynccontextmanager
async def _origin() -> AsyncIterator[str]:
    """Small and large pictures, each under as many addresses as wanted."""
    app = web.Application()
    app.router.add_get("/small/{number}.png", _small)
    app.router.add_get("/large/{number}.bmp", _large)
    runner = web.AppRunner(app)
    await runner.setup()
    port = servers.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _small(request: web.Request) -> web.Response:
    return web.Response(body=_small_picture(int(request.match_info["number"])), content_type="image/png")


async def _large(request: web.Request) -> web.Response:
    side = int((LARGE / 3) ** 0.5) // 4 * 4
    picture = Image.new("RGB", (side, side), (int(request.match_info["number"]), 40, 90))
    data = io.BytesIO()
    await asyncio.to_thread(picture.save, data, "BMP")
    return web.Response(body=data.getvalue(), content_type="image/bmp")


def _small_picture(number: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), (number % 256, 120, 60)).save(data, "PNG")
    return data.getvalue()
