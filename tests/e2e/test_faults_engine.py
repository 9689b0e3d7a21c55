"""The engine dies, hangs or refuses in the middle of runs: what can be tried again is, and nobody else pays."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio

from comfyserve.client import Client
from tests.e2e.faults import at_the_gate, faulty, graph, happened, open_gate, submit
from tests.e2e.program import Program, colour_graph, finished, story, until

DISK_BYTES = 6_000_000
"""More than the database takes, less than a picture of noise."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Program, Client, Path]]:
    """A program whose runs have two attempts."""
    data_dir = tmp_path_factory.mktemp("engine") / "data"
    settings = {"max_attempts": "2", "allow_private_network": "127.0.0.1"}
    async with faulty(data_dir, **settings) as (running, client):
        yield running, client, data_dir


async def test_a_killed_engine_is_replaced_and_the_run_tried_again(place: Any) -> None:
    running, client, data_dir = place
    run_id = await submit(client, graph("FaultGate", "mid"))
    await at_the_gate(client, run_id)
    running.engines()[0].kill()
    await at_the_gate(client, run_id, attempt=2)
    open_gate(data_dir, "mid")
    ended = await finished(client, run_id)
    assert (ended["status"], ended["attempts"], len(ended["outputs"])) == ("success", 2, 1)
    kinds = [kind for kind in await story(client, run_id) if kind not in ("node_started", "output", "executed")]
    assert kinds == ["submitted", "claimed", "started", "lost", "claimed", "started", "succeeded"]
    events = (await client.get(f"/v1/runs/{run_id}/events", limit=200))["items"]
    lost = next(told for told in events if told["kind"] == "lost")
    assert lost["status"] == "queued" and "engine" in lost["data"]["reason"]
    attempts = [told["attempt_id"] for told in events if told["kind"] == "started"]
    assert len(set(attempts)) == 2


async def test_a_run_that_waits_behind_a_dying_engine_does_not_pay(place: Any) -> None:
    running, client, data_dir = place
    first = await submit(client, graph("FaultGate", "front", 1))
    await at_the_gate(client, first)
    second = await submit(client, colour_graph(2))
    await _waits_in_the_engine(running)
    running.engines()[0].kill()
    open_gate(data_dir, "front")
    ends = [await finished(client, run_id) for run_id in (first, second)]
    assert [(end["status"], end["attempts"], len(end["outputs"])) for end in ends] == [
        ("success", 2, 1),
        ("success", 1, 1),
    ]
    assert (await story(client, second)).count("lost") == 1


async def test_a_run_that_kills_every_engine_ends_failed(place: Any) -> None:
    _, client, _ = place
    killer = await submit(client, graph("FaultKill", "always"))
    after = await submit(client, colour_graph(3))
    ended = await finished(client, killer)
    assert (ended["status"], ended["attempts"]) == ("failed", 2)
    assert ended["error"]["code"] == "engine_lost" and "engine" in ended["error"]["message"]
    assert (await story(client, killer))[-2:] == ["lost", "failed"]
    innocent = await finished(client, after)
    assert (innocent["status"], innocent["attempts"]) == ("success", 1)


async def test_a_node_that_raises_is_told_and_not_tried_again(place: Any) -> None:
    running, client, _ = place
    before = await _pid(running)
    failing = await submit(client, graph("FaultRaise", "Hamburg"))
    other = await submit(client, colour_graph(4))
    ended = await finished(client, failing)
    assert (ended["status"], ended["attempts"]) == ("failed", 1)
    assert "no weather in Hamburg" in ended["error"]["message"]
    assert ended["error"]["place"]["node_id"] == "3"
    assert (await finished(client, other))["status"] == "success"
    assert await _pid(running) == before


async def test_the_cancel_of_a_running_run_leaves_the_engine_alone(place: Any) -> None:
    running, client, _ = place
    before = await _pid(running)
    executing = await submit(client, graph("FaultGate", "never", 5))
    staged = await submit(client, colour_graph(6))
    await at_the_gate(client, executing)
    await client.cancel(executing)
    ended = await finished(client, executing)
    assert (ended["status"], ended["outputs"], ended["error"]) == ("cancelled", [], None)
    assert (await story(client, executing)).count("cancelled") == 1
    assert (await finished(client, staged))["status"] == "success"
    assert await _pid(running) == before
    assert (await client.cancel(executing))["status"] == "cancelled"
    assert (await client.cancel(staged))["status"] == "success"


async def test_the_cancel_of_waiting_runs(place: Any) -> None:
    running, client, data_dir = place
    executing = await submit(client, graph("FaultGate", "wait", 7))
    await at_the_gate(client, executing)
    staged = await submit(client, colour_graph(8))
    await _waits_in_the_engine(running)
    queued = await submit(client, colour_graph(9))
    assert (await client.cancel(queued))["status"] == "cancelled"
    await client.cancel(staged)
    assert (await finished(client, staged))["status"] == "cancelled"
    open_gate(data_dir, "wait")
    assert (await finished(client, executing))["status"] == "success"
    assert await story(client, queued) == ["submitted", "cancel_requested", "cancelled"]
    assert "started" not in await story(client, staged)


async def test_the_cancel_of_a_run_whose_input_hangs(place: Any, silent_url: str) -> None:
    running, client, _ = place
    before = await _pid(running)
    nodes = colour_graph(10)
    nodes["1"] = {"class_type": "LoadImage", "inputs": {"image": silent_url}}
    run_id = await submit(client, nodes)
    await happened(client, run_id, "claimed")
    await client.cancel(run_id)
    ended = await finished(client, run_id)
    assert (ended["status"], ended["attempts"]) == ("cancelled", 0)
    assert (await finished(client, await submit(client, colour_graph(11))))["status"] == "success"
    assert await _pid(running) == before


async def test_a_full_disk_is_waited_for(place: Any) -> None:
    running, client, _ = place
    server = psutil.Process(running.process.pid)
    _, most = server.rlimit(psutil.RLIMIT_FSIZE)
    server.rlimit(psutil.RLIMIT_FSIZE, (DISK_BYTES, most))
    run_id = await submit(client, graph("FaultNoise", "", 12))
    warned = (await happened(client, run_id, "warning")).data["data"]
    assert warned["code"] == "storage_waits"
    server.rlimit(psutil.RLIMIT_FSIZE, (most, most))
    ended = await finished(client, run_id)
    assert (ended["status"], ended["attempts"], len(ended["outputs"])) == ("success", 1, 1)
    assert ended["outputs"][0]["size"] > DISK_BYTES


async def _pid(running: Program) -> int:
    """The engine's process id, once there is one engine: a test before may have left it restarting."""

    async def engines() -> list[psutil.Process]:
        return running.engines()

    [engine] = await until(engines, lambda found: len(found) == 1)
    return int(engine.pid)


async def _waits_in_the_engine(running: Program) -> None:
    """Return when a prompt waits in the engine's queue behind the one that executes."""
    command = psutil.Process(await _pid(running)).cmdline()
    url = f"http://127.0.0.1:{command[command.index('--port') + 1]}/queue"
    async with aiohttp.ClientSession() as session:

        async def queue() -> Any:
            async with session.get(url) as answer:
                return await answer.json()

        await until(queue, lambda state: len(state["queue_pending"]) == 1)
