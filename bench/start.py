"""Start of a real ComfyUI to ready: supervised by comfyserve, beside the same command by hand."""

import asyncio
import os
import shlex
import statistics
import subprocess
import time
from pathlib import Path

import aiohttp
from rich.console import Console

from bench.load import spread
from bench.servers import until_up
from comfyserve.engines.launch import Launch, comfyui, environment, free_port
from comfyserve.engines.process import ProcessEngine

START_SECONDS = 300


async def start(console: Console, home: Path, rounds: int) -> None:
    """Print both times and their ratio; COMFYSERVE_COMFY_ARGS are its arguments. One start before warms the disk."""
    launch = comfyui(home, *shlex.split(os.environ.get("COMFYSERVE_COMFY_ARGS", "")))
    await _by_hand(launch)
    by_hand, supervised = [], []
    for _ in range(rounds):
        by_hand.append(await _by_hand(launch))
        supervised.append(await _supervised(launch))
    console.print(f"ComfyUI start to ready, s (min / median / max of {rounds}, interleaved)")
    console.print(f"  by hand               {spread(by_hand, 2)}")
    console.print(f"  comfyserve            {spread(supervised, 2)}")
    console.print(f"  ratio of the medians  {statistics.median(supervised) / statistics.median(by_hand):.3f}")


async def _by_hand(launch: Launch) -> float:
    port = free_port(launch.host)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *launch.words(port),
        cwd=launch.cwd,
        env=environment(os.environ, {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as session:
            await until_up(session, f"http://{launch.host}:{port}/system_stats")
        return time.perf_counter() - began
    finally:
        process.kill()
        await process.wait()


async def _supervised(launch: Launch) -> float:
    engine = ProcessEngine(launch)
    began = time.perf_counter()
    try:
        await engine.ready()
        return time.perf_counter() - began
    finally:
        await engine.close()
