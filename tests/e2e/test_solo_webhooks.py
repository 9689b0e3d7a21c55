"""What `comfyserve solo` tells others: signed webhooks, and system events to its operator."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import standardwebhooks
import svix.webhooks
from aiohttp import web

from tests.e2e.program import colour_graph, sampler_graph
from tests.e2e.solo_program import solo

KEY = base64.b64encode(b"0123456789abcdef01234567").decode()
HIDDEN = "hidden-in-the-url"
SECONDS = 60


@dataclass
class Ear:
    """A receiver that keeps the bytes, and answers as it is told first."""

    url: str
    answers: list[int] = field(default_factory=list)
    refused: int = 0
    calls: asyncio.Queue[tuple[Mapping[str, str], str]] = field(default_factory=asyncio.Queue)

    async def next(self) -> tuple[Mapping[str, str], Any]:
        """The next call that was taken; both libraries of receivers accept its signature."""
        headers, body = await asyncio.wait_for(self.calls.get(), SECONDS)
        for verifier in (standardwebhooks.Webhook, svix.webhooks.Webhook):
            verifier(KEY).verify(body, dict(headers))
        return headers, json.loads(body)


@asynccontextmanager
async def ear(*answers: int) -> AsyncIterator[Ear]:
    """One that listens."""

    async def receive(request: web.Request) -> web.Response:
        body = await request.text()
        if here.answers:
            here.refused += 1
            return web.Response(status=here.answers.pop(0))
        here.calls.put_nowait((request.headers, body))
        return web.Response(status=204)

    app = web.Application(client_max_size=2**30)
    app.router.add_post("/{tail:.*}", receive)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = Ear(f"http://127.0.0.1:{runner.addresses[0][1]}/hook?token={HIDDEN}", list(answers))
    try:
        yield here
    finally:
        await runner.cleanup()


async def test_a_webhook_is_signed_and_comes_again_until_it_is_taken(tmp_path: Path) -> None:
    variables: dict[str, Any] = {"WEBHOOK_SECRET": f"whsec_{KEY}", "COMFYSERVE_ALLOW_PRIVATE_NETWORK": "127.0.0.1"}
    async with ear(503, 404) as hook, solo(tmp_path / "s", LOG_LEVEL="debug", **variables) as one:
        wish = {"prompt": colour_graph(), "id": "a b\u00e9", "webhook_v2": hook.url}
        status, queued = await one.post("/prompt", wish)
        assert (status, queued["status"]) == (202, "ok")
        headers, body = await hook.next()
        assert (hook.refused, headers["webhook-id"], body["id"]) == (2, "a%20b%C3%A9", "a b\u00e9")
        assert body["type"] == "prompt.complete" and base64.b64decode(body["images"][0]).startswith(b"\x89PNG")
        status, _ = await one.post("/prompt", {"prompt": colour_graph(-5), "id": "wrong", "webhook_v2": hook.url})
        assert status == 202
        _, body = await hook.next()
        assert (body["type"], body["id"]) == ("prompt.failed", "wrong")
    said = one.log.read_text()
    assert "webhook_failed" in said
    assert KEY not in said and "0123456789abcdef01234567" not in said


async def test_system_events_are_told_in_order_with_the_ids_of_requests(tmp_path: Path) -> None:
    async with ear(500) as hook:
        variables: dict[str, Any] = {
            "WEBHOOK_SECRET": KEY,
            "SYSTEM_WEBHOOK_URL": hook.url,
            "SYSTEM_WEBHOOK_EVENTS": "status, execution_start,executing ,progress_state,execution_success",
            "SYSTEM_META_region": "eu",
            "SALAD_MACHINE_ID": "m-1",
        }
        async with solo(tmp_path / "s", **variables) as one:
            status, _ = await one.post("/prompt", {"prompt": sampler_graph(3), "id": "mine"})
            assert status == 200
            told: list[dict[str, Any]] = []
            while not {"comfy.status", "comfy.execution_success"} <= {body["event"] for body in told}:
                told.append((await hook.next())[1])
        said = one.log.read_text()
    assert hook.refused == 1
    assert all(body["metadata"] == {"region": "eu", "salad_machine_id": "m-1"} for body in told)
    about = [body for body in told if body["event"] != "comfy.status"]
    assert about[0]["event"] == "comfy.execution_start"
    assert {body["data"]["data"]["prompt_id"] for body in about} == {"mine"}
    states = [body["data"]["data"]["nodes"] for body in about if body["event"] == "comfy.progress_state"]
    assert states and all(node["prompt_id"] == "mine" for nodes in states for node in nodes.values())
    queues = [
        body["data"]["data"]["status"]["exec_info"]["queue_remaining"]
        for body in told
        if body["event"] == "comfy.status"
    ]
    assert queues and set(queues) <= {0, 1}
    assert HIDDEN not in said and KEY not in said
