"""The official `comfy` command against the embedded engine, as a user of ComfyUI would use it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.embedded.test_program import line_of, start

ROOT = Path(__file__).parents[2]
COMFY = ROOT / ".venv" / "comfy-cli" / "bin" / "comfy"
WAIT_SECONDS = 60

STEPS = 3
GRAPH: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "simulated-sd15.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red mug", "clip": ["1", 1]}},
    "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "4": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["1", 0],
            "seed": 1,
            "steps": STEPS,
            "cfg": 7,
            "sampler_name": "euler",
            "scheduler": "normal",
            "positive": ["2", 0],
            "negative": ["2", 0],
            "latent_image": ["3", 0],
            "denoise": 1,
        },
    },
    "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
    "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "cli"}},
}
EDITOR: dict[str, Any] = {
    "last_node_id": 2,
    "last_link_id": 1,
    "nodes": [
        {
            "id": 1,
            "type": "EmptyImage",
            "pos": [0, 0],
            "mode": 0,
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
            "widgets_values": [32, 16, 1, 255],
        },
        {
            "id": 2,
            "type": "SaveImage",
            "pos": [300, 0],
            "mode": 0,
            "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
            "widgets_values": ["editor"],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
    "version": 0.4,
}


class Comfy:
    """The command with its answers as JSON; its home is a folder of the test, so tracking stays off."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self._env = {"PATH": os.environ["PATH"], "HOME": str(home), "COMFY_LOCAL_URL": url, "DO_NOT_TRACK": "1"}

    async def __call__(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads((await self._said(*arguments)).splitlines()[-1])
        return answer

    async def stop_tracking(self) -> None:
        assert b"disabled" in await self._said("tracking", "disable")

    async def _said(self, *arguments: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            COMFY, "--json", *arguments, env=self._env, cwd=self.home, stdout=-1, stderr=-1
        )
        async with asyncio.timeout(WAIT_SECONDS):
            output, said = await process.communicate()
        assert output, said.decode()
        return output

    async def data(self, *arguments: str) -> dict[str, Any]:
        answer = await self(*arguments)
        assert answer["ok"], answer["error"]
        data: dict[str, Any] = answer["data"]
        return data

    def file(self, name: str, content: object) -> str:
        path = self.home / name
        path.write_text(json.dumps(content))
        return str(path)


@asynccontextmanager
async def desk(base: Path, *options: str) -> AsyncIterator[Comfy]:
    """An engine and the command beside it."""
    process = await start("--base-directory", str(base / "engine"), *options)
    try:
        port = (await line_of(process.stderr, "listening"))["port"]
        home = base / "home"
        home.mkdir()
        comfy = Comfy(home, f"http://127.0.0.1:{port}")
        await comfy.stop_tracking()
        yield comfy
    finally:
        process.terminate()
        await process.communicate()


async def test_a_graph_runs_is_listed_and_its_picture_downloaded(tmp_path: Path) -> None:
    async with desk(tmp_path) as comfy:
        done = await comfy.data("run", "--workflow", comfy.file("graph.json", GRAPH), "--wait")
        assert done["status"] == "completed"
        assert sorted(done["executed_node_ids"]) == sorted(GRAPH)
        assert list(done["outputs_by_node"]) == ["6"]
        (job,) = (await comfy.data("jobs", "ls"))["jobs"]
        assert (job["prompt_id"], job["status"]) == (done["prompt_id"], "completed")
        assert (await comfy.data("jobs", "status", done["prompt_id"]))["status"] == "completed"
        await comfy.data("download", done["prompt_id"], "--out-dir", str(comfy.home / "got"))
        (picture,) = (comfy.home / "got").rglob("*.png")
        with Image.open(picture) as image:
            assert image.size == (64, 64)


async def test_a_workflow_of_the_editor_runs(tmp_path: Path) -> None:
    async with desk(tmp_path) as comfy:
        done = await comfy.data("run", "--workflow", comfy.file("editor.json", EDITOR), "--wait")
        assert done["status"] == "completed"
    with Image.open(tmp_path / "engine" / "output" / "editor_00001_.png") as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((32, 16), (0, 0, 255))


async def test_a_background_job_is_waited_for_and_another_cancelled(tmp_path: Path) -> None:
    async with desk(tmp_path, "--step-ms", "1000") as comfy:
        long = {**GRAPH, "4": {**GRAPH["4"], "inputs": {**GRAPH["4"]["inputs"], "steps": 10_000}}}
        running = await comfy.data("run", "--workflow", comfy.file("long.json", long), "--no-notify")
        waiting = await comfy.data("run", "--workflow", comfy.file("long.json", long), "--no-notify")
        await comfy.data("jobs", "cancel", waiting["prompt_id"])
        await comfy.data("jobs", "cancel", running["prompt_id"])
        done = await comfy.data("run", "--workflow", comfy.file("editor.json", EDITOR), "--no-notify")
        waited = await comfy.data("jobs", "wait", done["prompt_id"])
        assert "completed" in json.dumps(waited)


async def test_a_refused_graph_says_why(tmp_path: Path) -> None:
    async with desk(tmp_path) as comfy:
        missing = {**GRAPH, "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "absent.ckpt"}}}
        answer = await comfy("run", "--workflow", comfy.file("graph.json", missing), "--wait")
    assert not answer["ok"]
    assert "absent.ckpt" in json.dumps(answer["error"])


async def test_files_go_up_and_the_system_commands_answer(tmp_path: Path) -> None:
    async with desk(tmp_path) as comfy:
        Image.new("RGB", (4, 4)).save(comfy.home / "logo.png")
        (up,) = (await comfy.data("upload", str(comfy.home / "logo.png")))["uploads"]
        assert (tmp_path / "engine" / "input" / up["cloud_name"]).is_file()
        stats = await comfy.data("system-stats")
        assert stats["system"]["comfyui_version"] == "0.3.64"
        assert (await comfy.data("free", "--free-memory"))["requested"]["free_memory"] is True


@pytest.mark.parametrize("command", [("jobs", "status", "absent"), ("jobs", "cancel", "absent")])
async def test_an_unknown_job_is_an_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    async with desk(tmp_path) as comfy:
        assert not (await comfy(*command))["ok"]
