"""1 GiB from an origin on loopback to disk: the HTTP source, and the whole way through the cache, beside curl."""

import asyncio
import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from bench.load import spread
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.fetching import Caps, Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpSource
from comfyserve.fetch.source import Order

GIB = 1024**3
BLOCK = 16 * 1024**2
AGAIN = 50
"""How often the file is asked for once it is cached."""


@dataclass(frozen=True)
class Sample:
    """Seconds of one download, and the CPU seconds of who did it."""

    seconds: float
    cpu: float


async def download(console: Console, rounds: int) -> None:
    """Interleaved rounds, who begins changes; each to a fresh file. What comes again is asked of the cache."""
    samples: dict[str, list[Sample]] = {"curl": [], "source": [], "cache, cold": []}
    again: list[float] = []
    with TemporaryDirectory(prefix="bench-download-") as name:
        folder = Path(name)
        async with _origin(folder / "origin.bin") as url, _ours() as source:

            async def by_curl(to: Path) -> Sample:
                return await _timed(resource.RUSAGE_CHILDREN, partial(_curl, url, to / "file"))

            async def by_source(to: Path) -> Sample:
                return await _timed(resource.RUSAGE_SELF, partial(source.download, Order(url, GIB), to / "file"))

            async def by_cache(to: Path) -> Sample:
                cold, warm = await _through_cache(source, to, url)
                again.extend(warm)
                return cold

            ways = [("curl", by_curl), ("source", by_source), ("cache, cold", by_cache)]
            order = [way for number in range(rounds) for way in ways[number % 3 :] + ways[: number % 3]]
            for way, take in order:
                to = folder / "to"
                to.mkdir()
                samples[way].append(await take(to))
                await asyncio.to_thread(shutil.rmtree, to)
    _show(console, samples, rounds)
    ordered = sorted(again)
    console.print(
        f"again from the cache, ms, {len(again)} times: min {ordered[0]:.2f}, median {statistics.median(again):.2f}, "
        f"p95 {ordered[int(len(ordered) * 0.95)]:.2f}; peak memory of the process "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


def _show(console: Console, samples: dict[str, list[Sample]], rounds: int) -> None:
    table = Table(title=f"1 GiB over loopback to disk, {rounds} rounds: min / median / max")
    for column in ("", "s", "MB/s", "CPU s", "time of curl's"):
        table.add_column(column, justify="right")
    for way, taken in samples.items():
        pairs = zip(taken, samples["curl"], strict=True)
        table.add_row(
            way,
            spread([one.seconds for one in taken], 2),
            spread([GIB / 1e6 / one.seconds for one in taken], 0),
            spread([one.cpu for one in taken], 2),
            spread([one.seconds / curl.seconds for one, curl in pairs], 2),
        )
    console.print(table)


async def _through_cache(source: HttpSource, folder: Path, url: str) -> tuple[Sample, list[float]]:
    """The first fetch of a URL, and milliseconds of those that follow."""
    store = Store(folder, 0)
    await asyncio.to_thread(store.open)
    caps = Caps(GIB, 600)
    fetching = Fetching({"http": source}, store, Guard("on"), FetchingLimits(caps, caps), clock=time.time)

    async def fetch() -> None:
        async with fetching.fetch(url, purpose="model") as file:
            if file.size != GIB:
                raise RuntimeError(f"{file.size} bytes came")

    cold = await _timed(resource.RUSAGE_SELF, fetch)
    warm = [(await _timed(resource.RUSAGE_SELF, fetch)).seconds * 1000 for _ in range(AGAIN)]
    return cold, warm


async def _timed(who: int, action: Callable[[], Awaitable[object]]) -> Sample:
    cpu, began = _cpu(who), time.perf_counter()
    await action()
    return Sample(time.perf_counter() - began, _cpu(who) - cpu)


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


async def _curl(url: str, to: Path) -> None:
    process = await asyncio.create_subprocess_exec("curl", "--silent", "--fail", "--output", str(to), url)
    if await process.wait():
        raise RuntimeError(f"curl ended with {process.returncode}")


@asynccontextmanager
async def _ours() -> AsyncIterator[HttpSource]:
    source = HttpSource(Guard("on"))
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def _origin(path: Path) -> AsyncIterator[str]:
    """The URL of a 1 GiB file, served by a process of its own."""
    await asyncio.to_thread(_write, path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.origin", str(path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/model.bin"
    finally:
        process.terminate()
        await process.wait()


def _write(path: Path) -> None:
    block = os.urandom(BLOCK)
    with path.open("wb") as file:
        for _ in range(GIB // BLOCK):
            file.write(block)
