"""A webhook that is owed arrives, in the words of the API that asked for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from comfydeploy.models.components import WorkflowRunWebhookBody

from tests.e2e.program import colour_graph, finished, program, ready


async def test_the_end_of_a_run_is_told_in_each_dialect(tmp_path: Path) -> None:
    async with (
        _receiver() as (url, calls),
        program(tmp_path / "data", allow_private_network="127.0.0.1", example="none") as running,
        running.client() as client,
    ):
        await ready(client)
        native = await client.post("/v1/runs", {"graph": colour_graph(), "inputs": {}, "webhook": f"{url}/native"})
        await finished(client, native["id"])
        path, body = await asyncio.wait_for(calls.get(), 20)
        assert path == "/native" and body["event"] == "run.updated" and body["run"]["status"] == "success"
        assert body["run"]["outputs"][0]["url"].startswith(running.url)

        workflow = await client.post("/v1/workflows", {"name": "colour", "graph": colour_graph(5)})
        deployment = await client.post("/v1/deployments", {"name": "colour", "workflow_id": workflow["id"]})
        wish = {"deployment_id": deployment["id"], "inputs": {}, "webhook": f"{url}/deploy?timestamp=1&signature=a%2Bb"}
        queued = await client.post("/api/run/deployment/queue", wish)
        path, body = await asyncio.wait_for(calls.get(), 20)
        assert path == "/deploy?timestamp=1&signature=a%2Bb"
        parsed = WorkflowRunWebhookBody.model_validate(body)
        assert parsed.run_id == queued["run_id"] and body["deployment_id"] == deployment["id"]


async def test_a_receiver_that_fails_is_called_again(tmp_path: Path) -> None:
    async with (
        _receiver(failures=1) as (url, calls),
        program(tmp_path / "data", allow_private_network="127.0.0.1", example="none") as running,
        running.client() as client,
    ):
        await ready(client)
        await client.post("/v1/runs", {"graph": colour_graph(), "inputs": {}, "webhook": f"{url}/once"})
        first, second = [await asyncio.wait_for(calls.get(), 30) for _ in range(2)]
        assert first == second


@asynccontextmanager
async def _receiver(failures: int = 0) -> AsyncIterator[tuple[str, asyncio.Queue[tuple[str, Any]]]]:
    """A receiver that keeps what it is sent, and answers 500 to the first calls."""
    calls: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def receive(request: web.Request) -> web.Response:
        received.append(request.raw_path)
        calls.put_nowait((request.raw_path, json.loads(await request.read())))
        return web.Response(status=500 if len(received) <= failures else 200)

    received: list[str] = []
    app = web.Application()
    app.router.add_post("/{tail:.*}", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", calls
    finally:
        await runner.cleanup()
