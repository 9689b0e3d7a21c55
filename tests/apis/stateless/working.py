"""The stateless API over the real services, a real worker and a real embedded engine, on a free port."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import httpx2
from fastapi import FastAPI
from starlette.requests import Request

from comfyserve.apis.build import build_api
from comfyserve.apis.http.bundle import ApiOptions
from comfyserve.apis.stateless.api import STATELESS
from comfyserve.apis.stateless.options import Condition, StatelessOptions
from comfyserve.core.credentials import Credential
from comfyserve.core.errors import DomainError, NotFound
from comfyserve.core.graph import Graph
from comfyserve.embedded.context import EngineSettings, current
from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.nodes.declare import Family
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.settings import ServerSettings
from comfyserve.engines.remote import RemoteEngine
from comfyserve.ports import Engine, Fetch, Targets
from comfyserve.services.model_files import ModelArrived, ModelOrder
from comfyserve.services.records import Caller
from comfyserve.work.collect import Converter
from tests.apis.world import served, services_of
from tests.embedded.conftest import serve_engine
from tests.services.bundle import Bundle
from tests.work.shop import shop


def opened() -> asyncio.Event:
    """An event that has happened."""
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Prefetched:
    """What was asked for before a 202; `wrong` is raised, `gate` waited for; `begun` is set by the first one."""

    graphs: list[Graph] = field(default_factory=list)
    credentials: list[Sequence[Credential]] = field(default_factory=list)
    wrong: DomainError | None = None
    gate: asyncio.Event = field(default_factory=opened)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, graph: Graph, credentials: Sequence[Credential]) -> None:
        self.graphs.append(graph)
        self.credentials.append(credentials)
        self.begun.set()
        await self.gate.wait()
        if self.wrong is not None:
            raise self.wrong


@dataclass
class Solo:
    """A server of the dialect with everything behind it."""

    bundle: Bundle
    app: FastAPI
    client: httpx2.AsyncClient
    prefetched: Prefetched
    folder: Path

    async def prompt(self, graph: Mapping[str, Any], **fields: Any) -> httpx2.Response:
        """POST /prompt."""
        return await self.client.post("/prompt", json={"prompt": graph, **fields})

    def set(self, **changes: Any) -> None:
        """Change what the operator has decided."""
        self.app.state.stateless = replace(self.app.state.stateless, **changes)


odd = Family()
gates: dict[str, threading.Event] = {}
"""Name -> what a node of this name waits for."""


@odd.node("TestRaise", "tests", "tests", {"text": ("STRING", {})}, output_node=True)
def run_raise(text: str) -> NoReturn:
    """Fail with this text."""
    raise ValueError(text)


@odd.node("TestGate", "tests", "tests", {"name": ("STRING", {})}, output_node=True)
def run_gate(name: str) -> dict[str, Any]:
    """Wait until the test opens the gate; give a text."""
    while not gates[name].wait(0.01):
        current().check_interrupted()
    return {"text": [name]}


@asynccontextmanager
async def solo_on(
    folder: Path,
    engine: Engine,
    *,
    fetch: Fetch | None = None,
    converter: Converter | None = None,
    targets: Targets | None = None,
    **options: Any,
) -> AsyncIterator[Solo]:
    """The server on an engine."""
    async with shop(folder, engine, fetch=fetch, converter=converter, targets=targets) as work:
        app, prefetched = app_of(work.bundle, **options)
        async with served(app) as address, httpx2.AsyncClient(base_url=address, timeout=30) as client:
            yield Solo(work.bundle, app, client, prefetched, folder)


@asynccontextmanager
async def solo(folder: Path, **options: Any) -> AsyncIterator[Solo]:
    """The server on an embedded engine."""
    async with embedded(folder / "engine") as url, solo_on(folder, RemoteEngine(url), **options) as made:
        yield made


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[str]:
    """An embedded engine with all of its nodes; the value is its address."""
    folders = Folders(folder, {})
    folders.create()
    catalogue = load_catalogue(folders)
    catalogue.add(odd.classes, {})
    engine = build_engine(folders, catalogue, ServerSettings(), EngineSettings(step_ms=0))
    async with serve_engine(engine) as seat:
        yield seat.url


def app_of(bundle: Bundle, **options: Any) -> tuple[FastAPI, Prefetched]:
    """The app over a bundle of services. `options` are those of StatelessOptions."""
    prefetched = Prefetched()

    async def caller(request: Request) -> Caller:
        return bundle.caller

    async def condition() -> Condition:
        return Condition(healthy=True, ready=True)

    async def models() -> Mapping[str, Sequence[str]]:
        return {}

    async def check_model(order: ModelOrder) -> None:
        return None

    async def download(order: ModelOrder) -> ModelArrived:
        raise NotFound("Nothing is downloaded here.")

    app = build_api(services_of(bundle), ApiOptions(max_body_bytes=1_000_000), apis=(STATELESS,))
    app.state.stateless = StatelessOptions(
        version="0.1.0",
        condition=condition,
        caller=caller,
        models=models,
        check_model=check_model,
        download=download,
        prefetch=prefetched,
        **options,
    )
    return app, prefetched


def picture_graph(color: int = 255, *, prefix: str = "ComfyUI", size: int = 16, count: int = 1) -> dict[str, Any]:
    """A graph that saves pictures of one colour."""
    empty = {"width": size, "height": size, "batch_size": count, "color": color}
    return {
        "1": {"inputs": empty, "class_type": "EmptyImage"},
        "9": {"inputs": {"images": ["1", 0], "filename_prefix": prefix}, "class_type": "SaveImage"},
    }
