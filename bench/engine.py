"""The embedded engine on its own: how soon it answers, how fast it runs, what it holds, beside a real ComfyUI."""

import statistics
import time
from contextlib import AsyncExitStack

from rich.console import Console
from rich.table import Table

from bench import callers, servers
from bench.load import Sample, measure, spread

JOBS = {1: 100, 32: 640}
STARTS = 5
SOAK_RUNS, SOAK_LOOKS = 5_000, 10


async def engine(console: Console, url: str | None, rounds: int) -> None:
    """Print start to ready, idle memory, speed with 1 and 32 callers in interleaved rounds, memory over 5,000 runs."""
    await _starts(console)
    for number in JOBS:
        await _speed(console, url, number, rounds)
    await _soak(console)


async def _starts(console: Console) -> None:
    seconds, memory = [], []
    for _ in range(STARTS):
        began = time.perf_counter()
        async with servers.engine(0) as started:
            seconds.append(time.perf_counter() - began)
            memory.append(started.memory_mib())
    console.print(f"start to ready, s (min / median / max of {STARTS}): {spread(seconds, 2)}")
    console.print(f"resident when idle, MiB: {spread(memory, 0)}")


async def _speed(console: Console, url: str | None, number: int, rounds: int) -> None:
    samples: dict[str, list[Sample]] = {}
    async with AsyncExitStack() as stack:
        contenders = {"embedded": await stack.enter_async_context(servers.engine(0))}
        if url is not None:
            contenders["ComfyUI"] = servers.listening_at(url)
        jobs = {name: await stack.enter_async_context(callers.direct(server)) for name, server in contenders.items()}
        for name, server in contenders.items():
            await measure(server, jobs[name], 10, 1)
        for _ in range(rounds):
            for name, server in contenders.items():
                samples.setdefault(name, []).append(await measure(server, jobs[name], JOBS[number], number))
    table = Table(title=f"{number} caller(s), EmptyImage and SaveImage, {rounds} rounds: min / median / max")
    for column in ("", "p50 ms", "p95 ms", "runs/s", "CPU ms/run", "MiB"):
        table.add_column(column, justify="right")
    for name, found in samples.items():
        table.add_row(
            name,
            spread([one.p50 for one in found]),
            spread([one.p95 for one in found]),
            spread([one.rate for one in found]),
            spread([one.cpu for one in found]),
            spread([one.memory for one in found], 0),
        )
    console.print(table)


async def _soak(console: Console) -> None:
    memory = []
    async with servers.engine(0) as server, callers.direct(server) as job:
        for _ in range(SOAK_LOOKS):
            memory.append((await measure(server, job, SOAK_RUNS // SOAK_LOOKS, 4)).memory)
    shown = " ".join(f"{value:.0f}" for value in memory)
    console.print(f"resident over {SOAK_RUNS} runs, MiB: {shown} (median {statistics.median(memory):.0f})")
