"""The server dies or is stopped: no run is lost, none has two results, and nothing of ours is left running."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from comfyserve.client import Client
from tests.e2e.faults import LOG, Lives, at_the_gate, family, gone, graph, happened, open_gate, submit
from tests.e2e.program import Program, colour_graph, finished, ready, story

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"lease_seconds": "600", "example": "none"}
"""A restarted server must not wait for the leases of the dead one."""

IMPATIENT = {"drain_seconds": "0.2"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lives(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lives]:
    """One data directory for all these tests."""
    lives = Lives(tmp_path_factory.mktemp("server") / "data", **SETTINGS)
    yield lives
    await lives.end()


async def test_killed_with_runs_queued_and_running(lives: Lives) -> None:
    running, client = await lives.running()
    done = await submit(client, colour_graph(100))
    await finished(client, done)
    executing = await submit(client, graph("FaultGateWithFamily", "kill", 101))
    waiting = [await submit(client, colour_graph(102 + index)) for index in range(10)]
    await at_the_gate(client, executing)
    await happened(client, waiting[0], "claimed")
    left = family(lives.data_dir)
    assert sum("time.sleep(600)" in " ".join(process.cmdline()) for process in left) == 1
    assert len(left) >= 3
    await running.stop(signal.SIGKILL)
    assert await gone(left) == []
    assert family(lives.data_dir) == []
    open_gate(lives.data_dir, "kill")
    _, client = await lives.running()
    ends = await asyncio.gather(*(finished(client, run_id) for run_id in (done, executing, *waiting)))
    await _each_has_one_result(client, ends)
    attempts = {end["id"]: end["attempts"] for end in ends}
    assert (attempts[done], attempts[executing], attempts[waiting[0]]) == (1, 2, 1)
    told = await story(client, executing)
    assert told[told.index("lost") + 1 :][:2] == ["claimed", "started"]


async def test_sigterm_lets_running_work_finish_and_keeps_the_rest(lives: Lives) -> None:
    running, client = await lives.running()
    executing = await submit(client, graph("FaultGate", "drain", 300))
    await at_the_gate(client, executing)
    staged, queued = [await submit(client, colour_graph(301 + index)) for index in range(2)]
    await happened(client, staged, "claimed")
    ending = asyncio.create_task(finished(client, executing))
    watching = asyncio.create_task(_watch_until_the_end(running, queued))
    running.process.send_signal(signal.SIGTERM)
    await happened(client, staged, "lost")
    open_gate(lives.data_dir, "drain")
    assert (await ending)["status"] == "success"
    assert await watching == ["submitted"]
    assert await asyncio.wait_for(running.process.wait(), 30) == 0
    assert "graceful" not in (lives.data_dir.parent / LOG).read_text(), "a stream was cut off"
    assert family(lives.data_dir) == []
    _, client = await lives.running()
    ends = [await finished(client, run_id) for run_id in (executing, staged, queued)]
    await _each_has_one_result(client, ends)
    assert [end["attempts"] for end in ends] == [1, 1, 1]
    assert (await story(client, queued)).count("claimed") == 1


async def test_a_second_sigterm_ends_at_once_and_streams_resume_after_it(lives: Lives) -> None:
    running, client = await lives.running()
    executing = await submit(client, graph("FaultGate", "twice", 500))
    staged = await submit(client, colour_graph(501))
    await at_the_gate(client, executing)
    await happened(client, staged, "claimed")
    left = family(lives.data_dir)
    running.process.send_signal(signal.SIGTERM)
    seen = await happened(client, staged, "lost")
    running.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(running.process.wait(), 30) == 128 + signal.SIGTERM
    assert await gone(left) == []
    open_gate(lives.data_dir, "twice")
    _, client = await lives.running(**IMPATIENT)
    resumed = [told async for told in client.events(staged, after=seen.id) if told.id]
    assert resumed[0].kind == "claimed"
    numbers = range(int(seen.id or 0) + 1, len(await story(client, staged)) + 1)
    assert [int(told.id or 0) for told in resumed] == list(numbers)
    ends = [await finished(client, run_id) for run_id in (executing, staged)]
    await _each_has_one_result(client, ends)
    assert [end["attempts"] for end in ends] == [2, 1]


async def test_a_drain_that_takes_too_long_gives_the_run_back(lives: Lives) -> None:
    running, client = await lives.running(**IMPATIENT)
    executing = await submit(client, graph("FaultGate", "slow", 400))
    await at_the_gate(client, executing)
    assert await running.stop() == 0
    open_gate(lives.data_dir, "slow")
    _, client = await lives.running()
    ended = await finished(client, executing)
    assert (ended["status"], ended["attempts"]) == ("success", 2)
    events = (await client.get(f"/v1/runs/{executing}/events", limit=200))["items"]
    assert [told["data"]["reason"] for told in events if told["kind"] == "lost"] == ["The worker was shut down."]


async def test_killed_between_the_engine_and_the_record(lives: Lives) -> None:
    await lives.end()
    run_id = ""
    for kind in ("started", "succeeded"):
        script = Path(__file__).with_name("killed_while_recording.py")
        dying = await Program.start(lives.data_dir, command=(sys.executable, str(script), kind), **SETTINGS)
        async with dying.client() as client:
            if not run_id:
                await ready(client)
                run_id = await submit(client, colour_graph(200))
            assert await asyncio.wait_for(dying.process.wait(), 30) == -signal.SIGKILL
        assert await gone(family(lives.data_dir)) == []
    _, client = await lives.running()
    ended = await finished(client, run_id)
    await _each_has_one_result(client, [ended])
    assert (await story(client, run_id)).count("lost") == 2
    events = (await client.get(f"/v1/runs/{run_id}/events", limit=200))["items"]
    dead = [told["attempt_id"] for told in events if told["kind"] == "claimed"][:2]
    left = [path.name for path in (lives.data_dir / "engine" / "output").iterdir()]
    assert not set(dead) & set(left), "what the dead attempts made lies about"
    async with httpx2.AsyncClient(trust_env=False) as web:
        assert len((await web.get(ended["outputs"][0]["url"])).content) == ended["outputs"][0]["size"]


async def _watch_until_the_end(running: Program, run_id: str) -> list[str]:
    """The events of a stream that nobody resumes."""
    headers = {"Authorization": f"Bearer {running.key}", "Accept": "text/event-stream"}
    async with (
        httpx2.AsyncClient(base_url=running.url, trust_env=False, headers=headers) as web,
        web.stream("GET", f"/v1/runs/{run_id}/events", timeout=60) as answer,
    ):
        lines = [line async for line in answer.aiter_lines()]
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


async def _each_has_one_result(client: Client, ends: Any) -> None:
    for end in ends:
        assert (end["status"], len(end["outputs"])) == ("success", 1), end
        told = await story(client, end["id"])
        assert (told.count("succeeded"), told.count("output"), told[-1]) == (1, 1, "succeeded")
