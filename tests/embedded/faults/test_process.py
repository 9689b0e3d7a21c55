"""The faults that take the process with them, on the engine as a program."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.embedded.test_program import WAIT_SECONDS, line_of, start

STEPS = """
class Steps:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), 'run', True
    INPUT_TYPES = staticmethod(lambda: {'required': {'count': ('INT', {})}, 'optional': {'after': ('*',)}})
    def run(self, count, after=None):
        from comfyserve.embedded.context import current
        for number in range(1, count + 1):
            current().progress(number, count)
        return ()
NODE_CLASS_MAPPINGS = {'Steps': Steps}
"""
PLAIN = {"2": {"class_type": "Steps", "inputs": {"count": 3}}}


@asynccontextmanager
async def program(base: Path, *options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    (base / "custom_nodes").mkdir(exist_ok=True)
    (base / "custom_nodes" / "steps.py").write_text(STEPS)
    process = await start("--base-directory", str(base), *options)
    try:
        port = (await line_of(process.stderr, "listening"))["port"]
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def submit(url: str, graph: object) -> None:
    """Queue a graph that ends the process, which may happen before the answer is sent."""
    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with session.post(f"{url}/prompt", json={"prompt": graph}) as response:
                assert response.status == 200


async def end_of(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(WAIT_SECONDS):
        return await process.wait()


@pytest.mark.parametrize(
    ("fault", "status"), [("crash,step=2,exit_code=7", 7), ("crash,step=1,signal=KILL", -signal.SIGKILL)]
)
async def test_a_crash_ends_the_process(tmp_path: Path, fault: str, status: int) -> None:
    async with program(tmp_path, "--fault", fault) as (process, url):
        await submit(url, PLAIN)
        assert await end_of(process) == status


async def test_a_node_crashes_it_too(tmp_path: Path) -> None:
    crash = {"class_type": "ComfyserveFaultCrash", "inputs": {"step": 1, "exit_code": 9, "signal": "none"}}
    graph = {"1": crash, "2": {"class_type": "Steps", "inputs": {"count": 1, "after": ["1", 0]}}}
    async with program(tmp_path, "--fault-nodes") as (process, url):
        await submit(url, graph)
        assert await end_of(process) == 9


async def test_a_hang_ignores_interruption_and_the_server_lives(tmp_path: Path) -> None:
    async with (
        program(tmp_path, "--fault", "hang,step=2") as (_, url),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/ws?clientId=me") as socket,
    ):
        async with session.post(f"{url}/prompt", json={"prompt": PLAIN, "client_id": "me"}):
            pass
        while (await socket.receive_json(timeout=WAIT_SECONDS))["type"] != "progress":
            pass
        async with session.post(f"{url}/interrupt", json={}) as response:
            assert response.status == 200
        async with session.get(f"{url}/queue") as response:
            assert len((await response.json())["queue_running"]) == 1


async def test_a_slow_start_ends_at_once_when_it_is_stopped(tmp_path: Path) -> None:
    process = await start("--base-directory", str(tmp_path), "--fault", "slow-start,seconds=3600")
    await line_of(process.stderr, "starting late")
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 0
    await process.communicate()


async def test_a_wrong_fault_ends_with_what_is_possible() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "comfyserve.embedded", "--base-directory", "x", "--fault", "explode"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"there is no fault 'explode'; there are slow-start" in said
