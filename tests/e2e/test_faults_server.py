"""The server dies or is stopped: no run is lost, none has two results, and nothing of ours is left running."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from comfyserve.client import Client
from tests.e2e.faults import (
    at_the_gate,
    family,
    faulty,
    gone,
    graph,
    happened,
    open_gate,
    prepare,
    submit,
)
from tests.e2e.program import Program, colour_graph, finished, program, ready, story

LEASE = {"lease_seconds": "600", "example": "none"}
"""A restarted server must not wait for the leases of the dead one."""


async def test_killed_with_runs_queued_and_running(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with faulty(data_dir, **LEASE) as (running, client):
        done = await submit(client, colour_graph(100))
        await finished(client, done)
        executing = await submit(client, graph("FaultGateWithFamily", "kill", 101))
        waiting = [await submit(client, colour_graph(102 + index)) for index in range(10)]
        await at_the_gate(client, executing)
        await happened(client, waiting[0], "claimed")
        left = family(data_dir)
        assert sum("time.sleep(600)" in " ".join(process.cmdline()) for process in left) == 1
        assert len(left) >= 3
        await running.stop(signal.SIGKILL)
        assert await gone(left) == []
        assert family(data_dir) == []
    open_gate(data_dir, "kill")
    async with program(data_dir, **LEASE) as running, running.client() as client:
        ends = await asyncio.gather(*(finished(client, run_id) for run_id in (done, executing, *waiting)))
        await _each_has_one_result(client, ends)
        by_id = {end["id"]: end["attempts"] for end in ends}
        assert (by_id[done], by_id[executing], by_id[waiting[0]]) == (1, 2, 1)
        told = await story(client, executing)
        assert told[told.index("lost") + 1 :][:2] == ["claimed", "started"]


@pytest.mark.parametrize("kind", ["started", "succeeded"])
async def test_killed_between_the_engine_and_the_record(tmp_path: Path, kind: str) -> None:
    data_dir = prepare(tmp_path / "data")
    script = Path(__file__).with_name("killed_while_recording.py")
    dying = await Program.start(data_dir, command=(sys.executable, str(script), kind), **LEASE)
    async with dying.client() as client:
        await ready(client)
        run_id = await submit(client, colour_graph(200))
        assert await asyncio.wait_for(dying.process.wait(), 30) == -signal.SIGKILL
    assert await gone(family(data_dir)) == []
    async with program(data_dir, **LEASE) as running, running.client() as client:
        ended = await finished(client, run_id)
        await _each_has_one_result(client, [ended])
        assert (await story(client, run_id)).count("lost") == 1
        assert len((await client.get("/v1/runs"))["items"]) == 1
        async with httpx2.AsyncClient(trust_env=False) as web:
            assert len((await web.get(ended["outputs"][0]["url"])).content) == ended["outputs"][0]["size"]


async def test_sigterm_lets_running_work_finish_and_keeps_the_rest(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with faulty(data_dir, **LEASE) as (running, client):
        executing = await submit(client, graph("FaultGate", "drain", 300))
        await at_the_gate(client, executing)
        staged, queued = [await submit(client, colour_graph(301 + index)) for index in range(2)]
        await happened(client, staged, "claimed")
        ending = asyncio.create_task(finished(client, executing))
        running.process.send_signal(signal.SIGTERM)
        await happened(client, staged, "lost")
        open_gate(data_dir, "drain")
        assert (await ending)["status"] == "success"
        assert await asyncio.wait_for(running.process.wait(), 30) == 0
        assert family(data_dir) == []
    async with program(data_dir, **LEASE) as running, running.client() as client:
        ends = [await finished(client, run_id) for run_id in (executing, staged, queued)]
        await _each_has_one_result(client, ends)
        assert [end["attempts"] for end in ends] == [1, 1, 1]
        assert (await story(client, queued)).count("claimed") == 1


async def test_a_drain_that_takes_too_long_gives_the_run_back(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with faulty(data_dir, drain_seconds="0.2", **LEASE) as (running, client):
        executing = await submit(client, graph("FaultGate", "slow", 400))
        await at_the_gate(client, executing)
        assert await running.stop() == 0
    open_gate(data_dir, "slow")
    async with program(data_dir, **LEASE) as running, running.client() as client:
        ended = await finished(client, executing)
        assert (ended["status"], ended["attempts"]) == ("success", 2)
        events = (await client.get(f"/v1/runs/{executing}/events", limit=200))["items"]
        assert [told["data"]["reason"] for told in events if told["kind"] == "lost"] == ["The worker was shut down."]


async def test_a_second_sigterm_ends_at_once_and_streams_resume_after_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with faulty(data_dir, **LEASE) as (running, client):
        executing = await submit(client, graph("FaultGate", "twice", 500))
        staged = await submit(client, colour_graph(501))
        await at_the_gate(client, executing)
        await happened(client, staged, "claimed")
        left = family(data_dir)
        running.process.send_signal(signal.SIGTERM)
        seen = await happened(client, staged, "lost")
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.process.wait(), 30) == 128 + signal.SIGTERM
        assert await gone(left) == []
    open_gate(data_dir, "twice")
    async with program(data_dir, **LEASE) as running, running.client() as client:
        resumed = [told async for told in client.events(staged, after=seen.id)]
        assert [told.kind for told in resumed if told.id][:1] == ["claimed"]
        assert [int(told.id) for told in resumed if told.id] == list(
            range(int(seen.id or 0) + 1, len(await story(client, staged)) + 1)
        )
        ends = [await finished(client, run_id) for run_id in (executing, staged)]
        await _each_has_one_result(client, ends)
        assert [end["attempts"] for end in ends] == [2, 1]


async def _each_has_one_result(client: Client, ends: Any) -> None:
    for end in ends:
        assert (end["status"], len(end["outputs"])) == ("success", 1), end
        told = await story(client, end["id"])
        assert (told.count("succeeded"), told.count("output"), told[-1]) == (1, 1, "succeeded")
