"""`comfyserve solo` beside the engine called directly, interleaved in the same run (the figures of docs/solo.md)."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import aiohttp
from rich.console import Console
from rich.table import Table

from bench import callers, servers, solo_callers
from bench.download import download
from bench.load import Sample, measure, spread
from bench.servers import Server
from bench.worker import packs

WORK_MS = (0, 50)
JOBS = 40
CROWDS = {1: 40, 8: 160, 32: 320}
CROWD = 500
WARM_UP = 10
LARGE = 20 * 1024 * 1024
AT_ONCE = 8
OUTPUT_BYTES = 12_600_000
OUTPUTS = (8, 32)

Ways = dict[str, tuple[Server, callers.Job]]


async def solo(console: Console, rounds: int) -> None:
    """Print ratios to the engine alone: each way to be answered, crowds, large inputs and outputs, downloads."""
    for work_ms in WORK_MS:
        await _ways(console, work_ms, rounds)
        await _crowds(console, work_ms, rounds)
    await _large(console, rounds)
    await download(console, rounds)


async def _ways(console: Console, work_ms: int, rounds: int) -> None:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(servers.engine(work_ms))
        server = await stack.enter_async_context(solo_callers.with_s3(work_ms))
        ways: Ways = {"engine": (engine, await stack.enter_async_context(callers.direct(engine)))}
        for name, made in {
            "base64": solo_callers.base64_in_answer(server),
            "jpeg": solo_callers.base64_in_answer(server, "jpeg"),
            "webp": solo_callers.base64_in_answer(server, "webp"),
            "webhook": solo_callers.webhook(server),
            "s3": solo_callers.s3(server),
        }.items():
            ways[name] = (server, await stack.enter_async_context(made))
        samples = await _interleaved(ways, JOBS, 1, rounds)
    _show(console, samples, f"one caller, engine works {work_ms} ms a run, {rounds} rounds: min / median / max")


async def _crowds(console: Console, work_ms: int, rounds: int) -> None:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(servers.engine(work_ms))
        server = await stack.enter_async_context(servers.solo(work_ms))
        ways: Ways = {
            "engine": (engine, await stack.enter_async_context(callers.direct(engine))),
            "base64": (server, await stack.enter_async_context(solo_callers.base64_in_answer(server))),
        }
        for number, jobs in (*CROWDS.items(), (CROWD, CROWD)):
            samples = await _interleaved(ways, jobs, number, rounds)
            _show(console, samples, f"{number} callers, engine works {work_ms} ms a run, {rounds} rounds")
        console.print(f"peak memory of solo after all of these: {server.peak_mib():.0f} MiB")


async def _interleaved(ways: Ways, jobs: int, number: int, rounds: int) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {way: [] for way in ways}
    for server, job in ways.values():
        await measure(server, job, WARM_UP, 1)
    for _ in range(rounds):
        for way, (server, job) in ways.items():
            samples[way].append(await measure(server, job, jobs, number))
    return samples


def _show(console: Console, samples: dict[str, list[Sample]], title: str) -> None:
    table = Table(title=title)
    for column in ("", "p50 ms", "p50 ratio", "added ms", "runs/s", "of engine", "own CPU ms", "MiB"):
        table.add_column(column, justify="right")
    for way, taken in samples.items():
        pairs = list(zip(taken, samples["engine"], strict=True))
        table.add_row(
            way,
            spread([mine.p50 for mine, _ in pairs]),
            spread([mine.p50 / engine.p50 for mine, engine in pairs], 2),
            spread([mine.p50 - engine.p50 for mine, engine in pairs]),
            spread([mine.rate for mine, _ in pairs]),
            spread([mine.rate / engine.rate for mine, engine in pairs], 3),
            spread([mine.own for mine, _ in pairs]),
            spread([mine.memory for mine, _ in pairs], 0),
        )
    console.print(table)


async def _large(console: Console, rounds: int) -> None:
    """Large pictures in bodies, and large files in answers; a fresh solo for each, for its peak of memory."""
    picture = await asyncio.to_thread(solo_callers.large_picture, LARGE)
    text = base64.b64encode(picture)

    async def send(session: aiohttp.ClientSession) -> None:
        await asyncio.gather(*(solo_callers.send_large(session, text, number) for number in range(AT_ONCE)))

    async def upload(session: aiohttp.ClientSession) -> None:
        calls = (solo_callers.send_large_to_engine(session, picture, number) for number in range(AT_ONCE))
        await asyncio.gather(*calls)

    await _compared(console, f"{AT_ONCE} inputs of {LARGE >> 20} MiB in base64 at once", rounds, send, upload)
    for files in OUTPUTS:
        take = partial(solo_callers.take_files, files=files, size=OUTPUT_BYTES)
        get = partial(solo_callers.take_files_from_engine, files=files, size=OUTPUT_BYTES)
        await _compared(console, f"{files} outputs of {OUTPUT_BYTES / 1e6:.1f} MB in base64", rounds, take, get)


Action = Callable[[aiohttp.ClientSession], Awaitable[object]]


async def _compared(console: Console, title: str, rounds: int, by_solo: Action, by_engine: Action) -> None:
    taken: list[tuple[float, float]] = []
    with packs() as arguments:
        async with (
            servers.engine(0, *arguments) as engine,
            servers.solo(0, COMFYSERVE_EMBEDDED_ARGS=" ".join(arguments)) as server,
            solo_callers.session_of(engine) as to_engine,
            solo_callers.session_of(server) as to_solo,
        ):
            before, cpu = server.peak_mib(), server.own_cpu_seconds()
            for _ in range(rounds):
                taken.append((await _seconds(by_solo(to_solo)), await _seconds(by_engine(to_engine))))
            peak, cpu = server.peak_mib(), (server.own_cpu_seconds() - cpu) / rounds
    console.print(
        f"{title}: {spread([mine for mine, _ in taken], 2)} s, ratio to the engine "
        f"{spread([mine / engine for mine, engine in taken], 2)}, own CPU {cpu:.2f} s a round, "
        f"peak memory {peak:.0f} MiB (idle {before:.0f})"
    )


async def _seconds(action: Awaitable[object]) -> float:
    began = time.perf_counter()
    await action
    return time.perf_counter() - began
