"""An engine that cuts its websocket, falls silent, answers late or wrongly: the run ends right, in one attempt."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from comfyserve.client import Client
from tests.e2e.faults import submit
from tests.e2e.program import Program, colour_graph, finished, program, ready, sampler_graph, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Program, Client]]:
    """A program whose engine has a node for each of its faults."""
    settings = {"embedded_args": "--fault-nodes", "simulated_step_ms": "2", "example": "none"}
    data_dir = tmp_path_factory.mktemp("protocol") / "data"
    async with program(data_dir, **settings) as running, running.client() as client:
        await ready(client)
        yield running, client


def faulted(name: str, seed: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """A sampler whose model passes the node of a fault."""
    nodes = sampler_graph(steps=4, seed=seed)
    nodes["fault"] = {"class_type": f"ComfyserveFault{name}", "inputs": {"any_value": ["1", 0], **values}}
    nodes["5"]["inputs"]["model"] = ["fault", 0]
    return nodes


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("SocketDropped", {"step": 2}),
        ("SocketSilent", {"step": 2}),
        ("LateHistory", {"seconds": 1.0}),
        *(("WrongAnswer", {"answer": answer}) for answer in ("error-500", "not-json", "empty", "other-id", "cut")),
    ],
)
async def test_the_run_ends_right(place: tuple[Program, Client], name: str, values: Mapping[str, Any]) -> None:
    running, client = place
    [before] = running.engines()
    run = await finished(client, await submit(client, faulted(name, 1, values)))
    assert (run["status"], run["attempts"], len(run["outputs"])) == ("success", 1, 1), run["error"]
    assert (await finished(client, await submit(client, colour_graph(1))))["status"] == "success"
    assert [engine.pid for engine in running.engines()] == [before.pid]


async def test_an_engine_that_runs_out_of_memory_at_a_step_is_started_anew(place: tuple[Program, Client]) -> None:
    running, client = place
    [before] = running.engines()
    run = await finished(client, await submit(client, faulted("OutOfMemory", 2, {"step": 2})))
    assert (run["status"], run["error"]["code"], run["attempts"]) == ("failed", "engine_error", 1)
    after = await finished(client, await submit(client, colour_graph(2)))
    assert (after["status"], after["attempts"]) == ("success", 1)

    async def engines() -> list[int]:
        return [engine.pid for engine in running.engines()]

    assert before.pid not in await until(engines, bool)
