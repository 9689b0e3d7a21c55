"""A worker at work: a scripted engine, a real ledger in SQLite, and waiting for what is recorded."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from comfyserve.core.credentials import auth_for
from comfyserve.core.errors import EngineLost, FetchFailed, NotFound
from comfyserve.core.runs import Status
from comfyserve.ports import Blobs, Engine, Fetch, Fetched, Ledger, Targets
from comfyserve.services.records import RunView
from comfyserve.services.topics import run_topic
from comfyserve.testing import ScriptedEngine
from comfyserve.work.collect import Converter
from comfyserve.work.limits import WorkLimits
from comfyserve.work.worker import MachineState, Worker
from tests.services.bundle import Bundle, open_bundle

SECONDS = 10
NODES: Mapping[str, Any] = {"ShowText": {"input": {"required": {"text": ["STRING", {}]}}}, "LoadImage": {"input": {}}}
QUICK = WorkLimits(poll=0.05, drain=5.0, interrupt_grace=0.3, lease=5.0)


class NoFetch:
    """A Fetch for graphs that name no URL."""

    @asynccontextmanager
    async def fetch(self, url: str, **wishes: Any) -> AsyncIterator[Fetched]:
        """Nothing is there."""
        raise NotFound(f"Nothing is fetched here, not even {url}.")
        yield

    async def link(self, path: Path, destination: Path) -> None:
        """Nothing is linked."""


class HangingFetch(NoFetch):
    """A Fetch whose servers never answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def fetch(self, url: str, **wishes: Any) -> AsyncIterator[Fetched]:
        """Wait for ever."""
        self.asked.set()
        await asyncio.Event().wait()
        yield Fetched(Path(), 0, "", "", "")


class FolderFetch(NoFetch):
    """A Fetch whose cache is a folder: URL -> content. It tells what is pinned, what it was asked for, and links."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.files = files
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.pinned: list[str] = []
        self.links: list[tuple[Path, Path]] = []
        self.seen: set[str] = set()

    @asynccontextmanager
    async def fetch(self, url: str, **wishes: Any) -> AsyncIterator[Fetched]:
        """A file, named by the position of its URL, in two pieces the first time."""
        self.asked.append((url, wishes))
        if url not in self.files:
            raise FetchFailed("The host answers with status 404.")
        content, cached = self.files[url], url in self.seen
        self.seen.add(url)
        name = urlsplit(url).path.rpartition("/")[2]
        path = self.folder / f"key{list(self.files).index(url)}{PurePosixPath(name).suffix}"
        path.write_bytes(content)
        if (on_bytes := wishes.get("on_bytes")) is not None and not cached:
            on_bytes(len(content) // 2, len(content))
            on_bytes(len(content), len(content))
        self.pinned.append(url)
        try:
            private = auth_for(url, wishes.get("credentials", ())) is not None
            yield Fetched(path, len(content), "", name, "", cached, private=private)
        finally:
            self.pinned.remove(url)

    async def link(self, path: Path, destination: Path) -> None:
        """Note it."""
        self.links.append((path, destination))


@dataclass
class Shop:
    """The services, a worker, its task, and what it said about its machine."""

    bundle: Bundle
    worker: Worker
    task: asyncio.Task[None]
    said: list[tuple[MachineState, EngineLost | None]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, run_id: str, good: Callable[[RunView], bool]) -> RunView:
        """The run, when it is good."""
        bell, topic = self.bundle.bell, run_topic(run_id)
        async with asyncio.timeout(SECONDS):
            while True:
                seen = bell.now(topic)
                view = await self.bundle.runs.get(self.bundle.caller, run_id)
                if good(view):
                    return view
                await bell.wait(topic, SECONDS, since=seen)

    async def ended(self, run_id: str) -> RunView:
        """The run at its end."""
        return await self.until(run_id, lambda view: view.ended_at is not None)

    async def is_now(self, run_id: str, status: Status) -> RunView:
        """The run, when it has this state."""
        return await self.until(run_id, lambda view: view.status is status)

    async def story(self, run_id: str) -> list[str]:
        """The kinds of its events."""
        return [event.kind for event in (await self.bundle.watch.events(self.bundle.caller, run_id)).items]

    async def reasons(self, run_id: str) -> list[str]:
        """Why it was lost, each time."""
        events = (await self.bundle.watch.events(self.bundle.caller, run_id)).items
        return [str(event.data["reason"]) for event in events if event.kind == "lost"]

    async def said_so_far(self, count: int) -> list[MachineState]:
        """The states that the worker told, once there are so many."""
        while len(self.said) < count:
            await self.told.wait()
            self.told.clear()
        return [state for state, _ in self.said]

    async def drain(self) -> None:
        """Stop the worker as a pool does."""
        self.worker.drain()
        await asyncio.wait_for(self.task, SECONDS)


@asynccontextmanager
async def shop(
    folder: Path,
    engine: Engine,
    *,
    limits: WorkLimits = QUICK,
    ledger: Callable[[Bundle], Ledger] = lambda bundle: bundle.record,
    blobs: Blobs | None = None,
    fetch: Fetch | None = None,
    another_idle: Callable[[], bool] = lambda: False,
    converter: Converter | None = None,
    targets: Targets | None = None,
    **bundle_options: Any,
) -> AsyncIterator[Shop]:
    """A worker on this engine until the context is left."""
    bundle = await open_bundle(folder, **bundle_options)
    said: list[tuple[MachineState, EngineLost | None]] = []
    told = asyncio.Event()

    async def report(state: MachineState, error: EngineLost | None) -> None:
        said.append((state, error))
        told.set()
        await bundle.machines.report_state(bundle.machine_id, state, error.as_dict() if error else None)

    worker = Worker(
        machine_id=bundle.machine_id,
        worker_id="local-0",
        engine=engine,
        ledger=ledger(bundle),
        stop=bundle.record,
        live=bundle.live,
        bell=bundle.bell,
        blobs=blobs or bundle.blobs,
        fetch=fetch or NoFetch(),
        limits=limits,
        monotonic=time.monotonic,
        another_idle=another_idle,
        report=report,
        converter=converter,
        targets=targets,
    )
    task = asyncio.create_task(worker.run())
    try:
        yield Shop(bundle, worker, task, said, told)
    finally:
        worker.drain()
        task.cancel()
        await asyncio.wait([task])
        if converter is not None:
            await converter.close()
        await bundle.db.close()


def text_graph(text: str) -> Mapping[str, Any]:
    """A graph that tests tell apart by its text."""
    return {"1": {"class_type": "ShowText", "inputs": {"text": text}}}


def text_of(graph: Mapping[str, Any]) -> str:
    """The text of such a graph."""
    return str(graph["1"]["inputs"]["text"])


def prompts(engine: ScriptedEngine) -> list[str]:
    """The texts of the graphs that the engine was given, in order."""
    return [text_of(graph) for _, graph in engine.submitted]
