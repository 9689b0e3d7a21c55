"""The operator's own services are told over real connections, wherever they are."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from comfyserve.app.base import Base, lay_base
from comfyserve.app.system import build_system
from comfyserve.ports import SystemEvent
from comfyserve.services.topics import DEPTH
from comfyserve.settings import read_settings

SALAD = {"SALAD_MACHINE_ID": "m-1", "SYSTEM_META_region": "eu"}


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[Base]:
    made = await lay_base(read_settings(data_dir=tmp_path), tmp_path, ())
    yield made
    await made.blobs.close()
    await made.db.close()


@asynccontextmanager
async def listening(calls: "asyncio.Queue[web.Request]") -> AsyncIterator[str]:
    """A service that takes everything; its address."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        calls.put_nowait(request)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_saladcloud_and_the_operator_are_told(base: Base) -> None:
    calls: asyncio.Queue[web.Request] = asyncio.Queue()
    async with listening(calls) as url:
        system = build_system(
            base, url=f"{url}/events", events=frozenset({"status"}), environment=SALAD, metadata_url=f"{url}/cost"
        )
        assert system.tell is not None
        async with system.running():
            cost = await asyncio.wait_for(calls.get(), 20)
            assert (cost.method, cost.path, cost.headers["Metadata"]) == ("PUT", "/cost", "true")
            assert json.loads(await cost.read()) == {"deletion_cost": 0}
            base.bell.ring(DEPTH)
            system.tell(SystemEvent("comfy", "status", {"type": "status", "data": {}}))
            system.tell(SystemEvent("comfy", "progress", {"type": "progress", "data": {}}))
        told = await asyncio.wait_for(calls.get(), 20)
        body = json.loads(await told.read())
        assert (told.method, told.path, body["event"]) == ("POST", "/events", "comfy.status")
        assert body["metadata"] == {"region": "eu", "salad_machine_id": "m-1"}
        assert body["data"]["data"]["status"]["exec_info"]["queue_remaining"] == 0
        assert calls.empty()


async def test_where_nobody_wants_to_hear_nothing_is_done(base: Base) -> None:
    for url, events in (("", frozenset({"status"})), ("http://127.0.0.1:9/x", frozenset[str]())):
        system = build_system(base, url=url, events=events, environment={})
        assert system.tell is None and system.senders == ()
        async with system.running():
            assert system.depth.value is None
