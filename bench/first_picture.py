"""From a fresh clone to the first picture, as a new user has it."""

import asyncio
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from rich.console import Console

from bench.servers import free_port, until_up

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 600


async def first_picture(console: Console) -> None:
    """Clone the committed tree, run script/up, call the example, and print how long each took; then start again."""
    with TemporaryDirectory(prefix="bench-clone-") as folder:
        began = time.perf_counter()
        clone = await asyncio.create_subprocess_exec("git", "clone", "-q", str(ROOT), folder)
        await clone.wait()
        console.print(f"cloned                   {time.perf_counter() - began:6.1f} s")
        await _start_and_call(console, folder, "fresh", began)
        await _start_and_call(console, folder, "again", time.perf_counter())


async def _start_and_call(console: Console, folder: str, name: str, began: float) -> None:
    port = free_port()
    environment = {**os.environ, "COMFYSERVE_PORT": str(port), "COMFYSERVE_ADMIN_KEY": "bench-key"}
    up = await asyncio.create_subprocess_exec(
        "script/up", cwd=folder, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(MOST_SECONDS):
            await _call_example(console, f"http://127.0.0.1:{port}", name, began)
    finally:
        if up.returncode is None:
            up.terminate()
        await up.wait()


async def _call_example(console: Console, url: str, name: str, began: float) -> None:
    async with aiohttp.ClientSession(url, headers={"Authorization": "Bearer bench-key"}) as session:
        await until_up(session, "/ready")
        console.print(f"{name}: server answers     {time.perf_counter() - began:6.1f} s")
        async with session.post("/v1/runs", json={"deployment": "pod", "inputs": {}}) as answer:
            run = await answer.json()
        async with session.get(f"/v1/runs/{run['id']}/events", headers={"Accept": "text/event-stream"}) as events:
            await events.read()
        async with session.get(f"/v1/runs/{run['id']}") as answer:
            run = await answer.json()
        console.print(f"{name}: first picture      {time.perf_counter() - began:6.1f} s  ({run['status']})")
