"""An engine that is configured and broken, an engine that runs elsewhere, clocks that run out, a full queue."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from comfyserve.client import ApiError, Client
from comfyserve.engines.launch import free_port
from tests.e2e.faults import LOG, at_the_gate, faulty, graph, happened, open_gate, prepare, submit
from tests.e2e.program import colour_graph, finished, program, ready, story, until

ENDS = "raise SystemExit('no GPU found')"
SILENT = "import time; print('loading the loader', flush=True); time.sleep(600)"


@pytest.mark.parametrize(
    ("code", "reason"), [(ENDS, "ended with exit code 1"), (SILENT, "was not ready within 1 s")], ids=["ends", "silent"]
)
async def test_a_comfyui_that_does_not_start_is_an_error(tmp_path: Path, code: str, reason: str) -> None:
    command = shlex.join([sys.executable, "-c", code, "{port}"])
    settings = {"comfy_command": command, "engine_start_seconds": "1", "queue_seconds": "1", "example": "none"}
    async with program(tmp_path / "data", **settings) as running, running.client() as client:
        cancelled, waiting = [await submit(client, colour_graph(index)) for index in range(2)]
        async with httpx2.AsyncClient(base_url=running.url, trust_env=False) as web:
            probe = await until(lambda: web.get("/ready"), lambda answer: answer.json()["engine"] == "failed")
        said = "no GPU found" if code is ENDS else "loading the loader"
        assert probe.status_code == 503 and probe.json()["ready"] is False
        assert reason in probe.json()["error"]["message"] and said in probe.json()["error"]["message"]
        [machine] = (await client.get("/v1/machines"))["items"]
        assert (machine["status"], machine["queued"], machine["kind"]) == ("failed", 2, "process")
        assert running.engines() == []
        assert reason in (tmp_path / LOG).read_text()
        assert (await client.cancel(cancelled))["status"] == "cancelled"
        if code is SILENT:
            return
        ended = await finished(client, waiting)
        assert (ended["status"], ended["error"]["code"], ended["attempts"]) == ("timeout", "queue_timeout", 0)


async def test_an_engine_elsewhere_may_come_late_and_come_back(tmp_path: Path) -> None:
    base = prepare(tmp_path / "data") / "engine"
    port = free_port("127.0.0.1")
    settings = {"comfy_url": f"http://127.0.0.1:{port}", "example": "none"}
    async with program(tmp_path / "data", **settings) as running, running.client() as client:
        first = await submit(client, graph("FaultGate", "remote"))
        async with httpx2.AsyncClient(base_url=running.url, trust_env=False) as web:
            assert (await web.get("/ready")).status_code == 503
        async with _engine(base, port):
            await ready(client)
            await at_the_gate(client, first)
        async with _engine(base, port):
            await at_the_gate(client, first, attempt=2)
            open_gate(tmp_path / "data", "remote")
            ended = await finished(client, first)
            assert (ended["status"], ended["attempts"], len(ended["outputs"])) == ("success", 2, 1)
            assert (await story(client, first)).count("lost") == 1
            second = await finished(client, await submit(client, colour_graph(1)))
            assert (second["status"], second["attempts"]) == ("success", 1)
        assert running.engines() == []


async def test_a_run_over_its_time_and_a_full_queue(tmp_path: Path) -> None:
    settings = {"run_seconds": "2", "max_queued": "2", "example": "pod"}
    async with faulty(tmp_path / "data", **settings) as (running, client):
        [engine] = running.engines()
        overdue = await submit(client, graph("FaultGate", "closed"))
        await at_the_gate(client, overdue)
        staged = await submit(client, colour_graph(1))
        await happened(client, staged, "claimed")
        queued = [await submit(client, colour_graph(2 + index)) for index in range(2)]
        await _refused_for_now(client, running.url, running.key)
        ended = await finished(client, overdue)
        assert (ended["status"], ended["error"]["code"], ended["attempts"]) == ("timeout", "run_timeout", 1)
        assert [(await finished(client, run_id))["status"] for run_id in [staged, *queued]] == ["success"] * 3
        assert len((await client.get("/v1/runs"))["items"]) == 4
        assert [process.pid for process in running.engines()] == [engine.pid]


async def _refused_for_now(client: Client, url: str, key: str) -> None:
    with pytest.raises(ApiError) as refused:
        await submit(client, colour_graph(9))
    assert (refused.value.status, refused.value.code) == (429, "queue_full")
    [pod] = (await client.get("/v1/deployments"))["items"]
    async with httpx2.AsyncClient(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {key}"}) as web:
        native = await web.post("/v1/runs", json={"deployment": "pod", "inputs": {}})
        dialect = await web.post("/api/run/deployment/queue", json={"deployment_id": pod["id"], "inputs": {}})
    for answer in (native, dialect):
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert native.json()["error"]["code"] == "queue_full"
    assert isinstance(dialect.json()["detail"], str)


@asynccontextmanager
async def _engine(base: Path, port: int) -> AsyncIterator[None]:
    """An engine that is not the server's, killed at the end."""
    with (base.parent.parent / "engine.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "comfyserve.embedded", "--port", str(port), "--base-directory", str(base)),
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.kill()
        await process.wait()
