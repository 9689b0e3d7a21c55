"""An engine that lives and answers nothing, as one whose lock a regular expression holds: it is replaced."""

import asyncio
from pathlib import Path

import pytest

from comfyserve.client import Client
from tests.e2e.faults import event, submit
from tests.e2e.program import Program, colour_graph, finished, program, ready, sampler_graph

pytestmark = pytest.mark.asyncio


async def test_a_frozen_engine_is_replaced(tmp_path: Path) -> None:
    settings = {"example": "none", "heartbeat_seconds": "2", "simulated_step_ms": "20"}
    async with program(tmp_path / "data", **settings) as running, running.client() as client:
        await ready(client)
        run_id, pid = await _freeze_at_work(running, client)
        ended = await finished(client, run_id)
        assert (ended["status"], ended["error"]["code"]) == ("timeout", "heartbeat_timeout")
        assert (await finished(client, await submit(client, colour_graph(2))))["status"] == "success"
        await ready(client)
        assert [engine.pid for engine in running.engines()] != [pid]


async def _freeze_at_work(running: Program, client: Client) -> tuple[str, int]:
    """Stop the engine's process in the middle of a run; the answer is the run and the process id."""
    run_id = await submit(client, sampler_graph(steps=5000))
    await event(client, run_id, lambda told: told.kind == "progress" and told.data["value"] > 1)
    [engine] = running.engines()
    await asyncio.to_thread(engine.suspend)
    return run_id, engine.pid
