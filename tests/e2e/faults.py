"""What the fault tests share: an engine with nodes that go wrong on request, and waiting for what happens."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from comfyserve.client import Client
from comfyserve.client.events import Event
from tests.e2e.program import Program, colour_graph, program, ready

NODES = Path(__file__).with_name("fault_nodes.py")
LOG = "up.log"


def prepare(data_dir: Path) -> Path:
    """A data directory whose embedded engine has the nodes that go wrong."""
    packs = data_dir / "engine" / "custom_nodes"
    packs.mkdir(parents=True)
    shutil.copy(NODES, packs)
    (data_dir / "gates").mkdir()
    return data_dir


@asynccontextmanager
async def faulty(data_dir: Path, **settings: str) -> AsyncIterator[tuple[Program, Client]]:
    """A ready program with such an engine, and a client."""
    async with program(prepare(data_dir), **{"example": "none"} | settings) as running, running.client() as client:
        await ready(client)
        yield running, client


class Lives:
    """One data directory and the programs that live on it, one after the other: a start costs seconds, so the next
    test takes over the program that the last one left, if its settings are the same."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = prepare(data_dir)
        self._settings = settings
        self._present: tuple[Program, Client, Mapping[str, str]] | None = None

    async def running(self, **settings: str) -> tuple[Program, Client]:
        """The program and a client, ready; started anew when none runs or the present one has other settings."""
        wanted = self._settings | settings
        if self._present is not None:
            running, client, had = self._present
            if running.process.returncode is None and had == wanted:
                return running, client
            await self.end()
        running = await Program.start(self.data_dir, **wanted)
        client = running.client()
        self._present = running, client, wanted
        await ready(client)
        return running, client

    async def end(self) -> None:
        """Stop the present program, if it lives, and close its client."""
        if self._present is not None:
            running, client, _ = self._present
            self._present = None
            await running.stop()
            await client.__aexit__(None, None, None)


def graph(class_type: str, name: str, colour: int = 255) -> dict[str, Any]:
    """One colour that passes a node of the fault pack before it is saved."""
    nodes = colour_graph(colour)
    nodes["3"] = {"class_type": class_type, "inputs": {"image": ["1", 0], "name": name}}
    nodes["2"]["inputs"]["images"] = ["3", 0]
    return nodes


def open_gate(data_dir: Path, name: str) -> None:
    """Let the runs pass that wait at this gate."""
    (data_dir / "gates" / name).touch()


async def submit(client: Client, nodes: dict[str, Any]) -> str:
    """Queue a graph; the answer is the run's id."""
    return str((await client.create_run(None, {}, graph=nodes))["id"])


async def event(client: Client, run_id: str, good: Callable[[Event], bool], seconds: float = 30) -> Event:
    """The first event of a run's stream that is good; the events before it may have happened long ago."""
    async with asyncio.timeout(seconds):
        async for told in client.events(run_id):
            if good(told):
                return told
    raise AssertionError(f"run {run_id} ended without it")


async def at_the_gate(client: Client, run_id: str, attempt: int = 1) -> None:
    """Return when the run has reached its gate, in this attempt."""
    reached = 0

    def good(told: Event) -> bool:
        nonlocal reached
        reached += told.kind == "node_started" and told.data["data"]["class_type"].startswith("FaultGate")
        return reached >= attempt

    await event(client, run_id, good)


async def happened(client: Client, run_id: str, kind: str) -> Event:
    """The first event of this kind."""
    return await event(client, run_id, lambda told: told.kind == kind)


def family(data_dir: Path) -> list[psutil.Process]:
    """Every process whose command names the data directory: engines, their reapers and what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(data_dir) in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def gone(processes: list[psutil.Process], seconds: float = 10) -> list[psutil.Process]:
    """Wait for the end of processes; the answer is those that live on."""
    return (await asyncio.to_thread(psutil.wait_procs, processes, seconds))[1]
