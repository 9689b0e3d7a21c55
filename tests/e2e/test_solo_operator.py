"""What the operator of solo sets: system events, a manifest, a warm-up from an address."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.e2e.program import colour_graph, sampler_graph
from tests.e2e.solo_program import solo, starting

MODEL = b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "
"""An empty safetensors file: the length of its header, and the header."""


async def test_a_manifest_and_a_warm_up_from_an_address_come_before_all_else(tmp_path: Path) -> None:
    async with _files() as (url, asked):
        before = [{"url": f"{url}/a.safetensors", "local_path": "models/loras/first.safetensors"}]
        after = [{"url": f"{url}/b.safetensors", "local_path": "models/loras/second.safetensors"}]
        manifest = json.dumps({"models": {"before_start": before, "after_start": after}})
        header = {"HTTP_AUTH_HEADER_NAME": "X-Key", "HTTP_AUTH_HEADER_VALUE": "hush"}
        warmup = {"WARMUP_PROMPT_URL": f"{url}/warmup.json", **header}
        async with solo(tmp_path / "s", MANIFEST_JSON=manifest, **warmup) as running:
            assert {await asked.get() for _ in range(2)} == {"/warmup.json", "/a.safetensors"}
            assert any(line.get("phase") == "The warm-up runs." for line in running.log_lines())
            assert "first.safetensors" in (await running.get("/models"))[1]["loras"]
            phases = [line["phase"] for line in running.log_lines() if line["event"] == "solo.phase"]
            assert phases.index("What the manifest names is being installed.") < phases.index("The engine is starting.")
            await asyncio.wait_for(_asked_for(asked, "/b.safetensors"), 20)
            for name in ("a", "b"):
                status, body = await running.post("/prompt", {"prompt": _graph_with(f"{url}/{name}.safetensors")})
                assert status == 400 and "allow_private_network" in body["error"].lower(), body
                assert body["location"] == "prompt.1.inputs"


async def test_what_cannot_be_had_at_the_start_ends_it(tmp_path: Path) -> None:
    async with _files() as (url, _):
        missing = [{"url": f"{url}/missing.safetensors", "local_path": "models/loras/a.safetensors"}]
        manifest = {"MANIFEST_JSON": json.dumps({"models": {"before_start": missing}})}
        warmup = {"WARMUP_PROMPT_URL": f"{url}/warmup.json"}
        for variables, told in ((manifest, "models/loras/a.safetensors"), (warmup, "status 401")):
            async with starting(tmp_path / "s", **variables) as running:
                assert await running.ended() == 1
                assert told in running.log.read_text().splitlines()[-1]


def _graph_with(url: str) -> dict[str, Any]:
    """A graph that names its model by an address."""
    return sampler_graph(1) | {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": url}}}


async def _asked_for(asked: asyncio.Queue[str], path: str) -> None:
    while await asked.get() != path:
        pass


@asynccontextmanager
async def _files() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A server of models, and of a warm-up for who sends the header; the paths that were asked for."""
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def give(request: web.Request) -> web.Response:
        if request.path == "/warmup.json":
            if request.headers.get("X-Key") != "hush":
                return web.Response(status=401)
            asked.put_nowait(request.path)
            return web.json_response(colour_graph())
        asked.put_nowait(request.path)
        return web.Response(body=MODEL, status=404 if "missing" in request.path else 200)

    app = web.Application()
    app.router.add_get("/{tail:.*}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()
