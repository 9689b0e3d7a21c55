"""A real embedded engine on a free port, with the sample nodes, and a client that follows one prompt."""

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from comfyserve.embedded.engine import Engine, build_engine
from comfyserve.embedded.faults.playing import Faults
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.graph.graph_view import Graph
from comfyserve.embedded.routes.app import build_app
from comfyserve.embedded.settings import ServerSettings

from .sample_nodes import MAPPINGS

WAIT_SECONDS = 20

Event = tuple[str, Any]
"""A frame of the websocket: its type and data, or 'binary' and the bytes."""


class Seat:
    """A running engine: its address, a session, and one websocket client named 'me'."""

    def __init__(
        self, engine: Engine, url: str, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse
    ) -> None:
        self.engine, self.url, self.session, self.socket = engine, url, session, socket
        self._ids = itertools.count()

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, **options) as response:
            body = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(body) if is_json else body

    async def submit(self, graph: Graph, **fields: Any) -> tuple[int, Any]:
        return await self.call("POST", "/prompt", json={"prompt": graph, "client_id": "me", **fields})

    async def queue(self, graph: Graph, **fields: Any) -> str:
        prompt_id: str = fields.pop("prompt_id", f"p{next(self._ids)}")
        status, answer = await self.submit(graph, prompt_id=prompt_id, **fields)
        assert status == 200, answer
        return prompt_id

    async def events(self, prompt_id: str) -> list[Event]:
        """All frames up to the end marker of the prompt: (type, data), binary ones as ('binary', bytes)."""
        seen: list[Event] = []
        while True:
            frame = await self.socket.receive(timeout=WAIT_SECONDS)
            if frame.type == aiohttp.WSMsgType.BINARY:
                seen.append(("binary", frame.data))
                continue
            message = json.loads(frame.data)
            seen.append((message["type"], message["data"]))
            if message["type"] == "executing" and message["data"] == {"node": None, "prompt_id": prompt_id}:
                return seen

    async def run(self, graph: Graph, **fields: Any) -> tuple[list[Event], Any]:
        """Events and history record of a prompt run to its end."""
        prompt_id = await self.queue(graph, **fields)
        events = await self.events(prompt_id)
        return events, (await self.call("GET", f"/history/{prompt_id}"))[1][prompt_id]


@asynccontextmanager
async def serve(
    folders: Folders,
    settings: ServerSettings | None = None,
    nodes: Mapping[str, type] = MAPPINGS,
    faults: Faults | None = None,
) -> AsyncIterator[Seat]:
    catalogue = Catalogue()
    catalogue.add(nodes, {"Number": "A number"})
    engine = build_engine(folders, catalogue, settings or ServerSettings(), faults=faults)
    async with serve_engine(engine) as seat:
        yield seat


@asynccontextmanager
async def serve_engine(engine: Engine) -> AsyncIterator[Seat]:
    runner = web.AppRunner(build_app(engine), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws?clientId=me") as socket:
            greeting = await socket.receive_json(timeout=WAIT_SECONDS)
            assert greeting["data"]["sid"] == "me"
            yield Seat(engine, url, session, socket)
    finally:
        await runner.cleanup()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path)
    made.create()
    return made


@pytest.fixture
async def seat(folders: Folders) -> AsyncIterator[Seat]:
    async with serve(folders) as running:
        yield running


async def happens(event: threading.Event) -> None:
    """Wait for a threading.Event without blocking the loop."""
    assert await asyncio.to_thread(event.wait, WAIT_SECONDS)
