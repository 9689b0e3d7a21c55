"""`script/bench`: what comfyserve adds to an engine, what it costs, and whether it stays flat."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import callers, servers
from bench.convert import convert
from bench.download import download
from bench.engine import engine
from bench.first_picture import first_picture
from bench.load import Sample, measure, spread
from bench.nodes import nodes
from bench.soak import soak
from bench.solo import solo
from bench.start import start
from bench.worker import worker

console = Console(highlight=False, width=200)

WAYS = ("direct", "queue", "sync")
JOBS = {1: 60, 16: 320}
WARM_UP = 10


@asynccontextmanager
async def contenders(work_ms: int) -> AsyncIterator[dict[str, tuple[servers.Server, callers.Job]]]:
    """The engine alone and the platform, both up, with a job for each way to call them."""
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(servers.engine(work_ms))
        platform = await stack.enter_async_context(servers.platform(work_ms))
        yield {
            "direct": (engine, await stack.enter_async_context(callers.direct(engine))),
            "queue": (platform, await stack.enter_async_context(callers.queue(platform))),
            "sync": (platform, await stack.enter_async_context(callers.sync(platform))),
        }


async def overhead(work_ms: int, number: int, rounds: int) -> None:
    """Interleaved rounds of the three ways, and what the platform adds to the engine of the same round."""
    samples: dict[str, list[Sample]] = {way: [] for way in WAYS}
    async with contenders(work_ms) as ways:
        for server, job in ways.values():
            await measure(server, job, WARM_UP, 1)
        for _ in range(rounds):
            for way, (server, job) in ways.items():
                samples[way].append(await measure(server, job, JOBS[number], number))
    table = Table(title=f"{number} caller(s), engine works {work_ms} ms a run, {rounds} rounds: min / median / max")
    for column in ("", "p50 ms", "p95 ms", "added p50", "added p95", "runs/s", "of engine", "CPU ms/run", "MiB"):
        table.add_column(column, justify="right")
    for way in WAYS:
        pairs = list(zip(samples[way], samples["direct"], strict=True))
        table.add_row(
            way,
            spread([mine.p50 for mine, _ in pairs]),
            spread([mine.p95 for mine, _ in pairs]),
            spread([mine.p50 - engine.p50 for mine, engine in pairs]),
            spread([mine.p95 - engine.p95 for mine, engine in pairs]),
            spread([mine.rate for mine, _ in pairs]),
            spread([mine.rate / engine.rate for mine, engine in pairs], 3),
            spread([mine.cpu for mine, _ in pairs]),
            spread([mine.memory for mine, _ in pairs], 0),
        )
    console.print(table)


async def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--soak", type=int, default=0, metavar="RUNS", help="measure memory and disk over so many runs")
    parser.add_argument("--first-picture", action="store_true", help="time a fresh clone to its first picture")
    parser.add_argument(
        "--nodes", nargs="?", const="", metavar="URL", help="time each model-free node, and in the ComfyUI at URL too"
    )
    parser.add_argument(
        "--engine", nargs="?", const="", metavar="URL", help="measure the embedded engine, and the ComfyUI at URL too"
    )
    parser.add_argument("--worker", action="store_true", help="time the engine's idling, and memory under large files")
    parser.add_argument("--download", action="store_true", help="time 1 GiB beside curl, and again from the cache")
    parser.add_argument("--start", type=Path, metavar="HOME", help="time the start of the ComfyUI in this folder")
    parser.add_argument("--convert", action="store_true", help="time converting a picture, beside Pillow")
    parser.add_argument("--solo", action="store_true", help="measure solo beside its engine, in every way it answers")
    arguments = parser.parse_args()
    if arguments.solo:
        await solo(console, arguments.rounds)
    elif arguments.convert:
        await convert(console, arguments.rounds)
    elif arguments.download:
        await download(console, arguments.rounds)
    elif arguments.start:
        await start(console, arguments.start, arguments.rounds)
    elif arguments.worker:
        await worker(console, arguments.rounds)
    elif arguments.engine is not None:
        await engine(console, arguments.engine or None, arguments.rounds)
    elif arguments.nodes is not None:
        await nodes(console, arguments.nodes or None)
    elif arguments.first_picture:
        await first_picture(console)
    elif arguments.soak:
        await soak(console, arguments.soak)
    else:
        for work_ms in (0, 50):
            for number in JOBS:
                await overhead(work_ms, number, arguments.rounds)


asyncio.run(main())
