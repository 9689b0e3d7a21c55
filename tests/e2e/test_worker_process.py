"""`comfyserve worker`: workers in a process of their own, beside a server that has none."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.program import Program, program

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "w"}},
}


@asynccontextmanager
async def worker(data_dir: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker that has said it works; killed at the end if it is still there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMFYSERVE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "comfyserve", "worker", "--data-dir", str(data_dir), "--json", *arguments),
        env=environment | {"COMFYSERVE_LEASE_SECONDS": "2"},
        cwd=data_dir.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=(data_dir.parent / "worker.log").open("ab"),
    )
    try:
        assert process.stdout is not None
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        assert told["engine"]["kind"] == "embedded"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def submit(running: Program) -> str:
    async with running.client() as client:
        return str((await client.create_run(None, {}, graph=GRAPH))["id"])


async def ended(running: Program, run_id: str) -> Any:
    async with running.client() as client, asyncio.timeout(60):
        async for _ in client.events(run_id):
            pass
        return await client.run(run_id)


async def test_runs_wait_for_a_worker_and_outlive_one_that_is_killed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with program(data_dir, work_here="false", lease_seconds="2") as running:
        assert running.engines() == []
        first = await submit(running)
        async with worker(data_dir) as one:
            run = await ended(running, first)
            assert (run["status"], len(run["outputs"])) == ("success", 1)
            engines = psutil.Process(one.pid).children(recursive=True)
            second = await submit(running)
            one.send_signal(signal.SIGKILL)
            await one.wait()
            await asyncio.to_thread(psutil.wait_procs, engines, 30)
            assert not any(engine.is_running() for engine in engines)
        async with worker(data_dir) as two:
            assert (await ended(running, second))["status"] == "success"
            two.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(two.wait(), 60) == 0


async def test_two_workers_share_a_server_s_queue(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with program(data_dir, work_here="false") as running, worker(data_dir), worker(data_dir):
        runs = [await submit(running) for _ in range(20)]
        assert {(await ended(running, run_id))["status"] for run_id in runs} == {"success"}
        folders = sorted(path.name for path in (data_dir / "workers").iterdir())
        assert folders == ["1", "2"]


async def test_a_machine_without_a_worker_says_what_to_do(tmp_path: Path) -> None:
    async with program(tmp_path / "data", work_here="false") as running, running.client() as client:
        answer = await client.get("/v1/machines")
        assert "comfyserve worker" in answer["items"][0]["error"]["message"]


async def test_a_worker_that_keeps_files_elsewhere_is_refused(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with program(data_dir, work_here="false"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "comfyserve", "worker", "--data-dir", str(data_dir)),
            env=dict(os.environ, COMFYSERVE_BLOBS="s3://elsewhere"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 5
        assert b"a folder of the data directory" in told
        assert b"s3://elsewhere" in told


async def test_a_worker_without_a_server_says_what_to_do(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "comfyserve", "worker", "--data-dir", str(tmp_path / "none")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 5
    assert b"comfyserve up" in told
