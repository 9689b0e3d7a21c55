"""The program as a user starts it: `comfyserve up` in a folder of its own, on a free loopback port."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from comfyserve.client import Client

START_SECONDS = 60
KEY = "e2e-admin-key"


@dataclass
class Program:
    """A running server; `process` is ours to signal."""

    process: asyncio.subprocess.Process
    url: str
    lines: list[str]
    key: str = KEY

    @classmethod
    async def start(cls, data_dir: Path, *, command: Sequence[str] = (), **settings: str) -> Self:
        """Start it and wait until it prints its page's address."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMFYSERVE_")}
        environment |= {"COMFYSERVE_DATA_DIR": str(data_dir), "COMFYSERVE_PORT": "0", "COMFYSERVE_ADMIN_KEY": KEY}
        environment |= {f"COMFYSERVE_{name.upper()}": value for name, value in settings.items()}
        log = (data_dir.parent / "up.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            *(command or (sys.executable, "-m", "comfyserve", "up")),
            env=environment,
            cwd=data_dir.parent,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        lines: list[str] = []
        url = await asyncio.wait_for(_address(process, lines), START_SECONDS)
        return cls(process, url, lines)

    def client(self, key: str | None = None) -> Client:
        """A client with the admin's key, or another."""
        return Client(self.url, self.key if key is None else key)

    def engines(self) -> list[psutil.Process]:
        """The engine processes that run under it, without their reapers."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if child.cmdline()[1:3] == ["-m", "comfyserve.embedded"]]

    async def stop(self, kind: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the answer is the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(kind)
        return await asyncio.wait_for(self.process.wait(), 60)


async def _address(process: asyncio.subprocess.Process, lines: list[str]) -> str:
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        lines.append(line.rstrip())
        if found := re.search(r"curl .*(http://[^/\s]+)/v1/runs", line):
            return found[1]
    raise AssertionError(f"the program ended with {await process.wait()}: {lines}")


@asynccontextmanager
async def program(data_dir: Path, **settings: str) -> AsyncIterator[Program]:
    """A program that is stopped at the end, whatever happened."""
    running = await Program.start(data_dir, **settings)
    try:
        yield running
    finally:
        await running.stop()


async def ready(client: Client) -> None:
    """Return when the server would execute a run now."""
    await until(lambda: client.get("/ready"), lambda state: bool(state["ready"]))


async def until(ask: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 60) -> Any:
    """Ask until the answer is good. For states that no event announces."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                answer = await ask()
            except Exception as error:
                answer = error
            if not isinstance(answer, Exception) and good(answer):
                return answer
            await asyncio.sleep(0.05)


async def finished(client: Client, run_id: str, seconds: float = 60) -> Mapping[str, Any]:
    """The run at its end, by its event stream."""
    async with asyncio.timeout(seconds):
        async for event in client.events(run_id):
            if event.kind == "run":
                return dict(event.data)
    raise AssertionError("the stream ended without the run")


async def story(client: Client, run_id: str) -> list[str]:
    """The kinds of a run's durable events, in order."""
    events = await client.get(f"/v1/runs/{run_id}/events", limit=200)
    return [event["kind"] for event in events["items"]]


def colour_graph(colour: int = 255, *, size: int = 64) -> dict[str, Any]:
    """A model-free graph: one colour, saved."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": size, "height": size, "batch_size": 1, "color": colour}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "colour"}},
    }


def editor_colour() -> dict[str, Any]:
    """The same as the editor saves it."""
    picture = {"name": "images", "type": "IMAGE", "link": 1}
    nodes = [
        {"id": 1, "type": "EmptyImage", "mode": 0, "inputs": [], "widgets_values": [64, 64, 1, 255]},
        {"id": 2, "type": "SaveImage", "mode": 0, "inputs": [picture], "widgets_values": ["colour"]},
        {"id": 3, "type": "MarkdownNote", "mode": 0, "widgets_values": ["One colour."]},
    ]
    return {"nodes": nodes, "links": [[1, 1, 0, 2, 0, "IMAGE"]], "version": 0.4}


def sampler_graph(steps: int = 20, seed: int = 1) -> dict[str, Any]:
    """A plain text-to-image graph on the simulated model; it takes `steps` times the step's cost."""
    text = "CLIPTextEncode"
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "simulated-sd15.safetensors"}},
        "2": {"class_type": text, "inputs": {"text": "a red cap", "clip": ["1", 1]}},
        "3": {"class_type": text, "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 128, "batch_size": 1}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["3", 0],
                "latent_image": ["4", 0],
                "seed": seed,
                "steps": steps,
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "cap"}},
    }
