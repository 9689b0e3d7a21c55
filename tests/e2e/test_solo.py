"""`comfyserve solo` started as a user does: what it says, what it answers, and when it is ready."""

import asyncio
import base64
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.program import colour_graph, sampler_graph, until
from tests.e2e.solo_program import SoloProgram, receiver, solo, starting

SLOW_START = "--fault slow-start,seconds=2"
PNG = b"\x89PNG"


async def test_the_port_answers_before_the_engine_does_and_the_call_works_as_printed(tmp_path: Path) -> None:
    async with starting(tmp_path / "s", COMFYSERVE_EMBEDDED_ARGS=SLOW_START) as running:
        status, body = await running.get("/health")
        assert (status, body["status"]) == (500, "not healthy")
        status, body = await running.get("/ready")
        assert (status, body["status"]) == (503, "not ready") and body["reason"]
        early = asyncio.create_task(running.post("/prompt", {"prompt": colour_graph(), "id": "early"}))
        greeting = await running.greeting()
        assert (await running.get("/health"))[0] == (await running.get("/ready"))[0] == 200
        status, body = await early
        assert status == 200 and base64.b64decode(body["images"][0]).startswith(PNG)
        assert body["filenames"][0].startswith("early_colour")
        assert running.url in greeting and "embedded" in greeting and "/docs" in greeting
        call = next(line for line in greeting.splitlines() if "curl" in line)
        shell = await asyncio.create_subprocess_shell(call, stdout=asyncio.subprocess.PIPE)
        answer = json.loads((await shell.communicate())[0])
        assert base64.b64decode(answer["images"][0]).startswith(PNG)
        status, models = await running.get("/models")
        assert status == 200 and models["checkpoints"]
        assert await running.stop(signal.SIGTERM) == 0


async def test_a_warm_up_runs_first_and_leaves_nothing(tmp_path: Path) -> None:
    graph = tmp_path / "warmup.json"
    graph.write_text(json.dumps(sampler_graph(4)))
    async with solo(tmp_path / "s", WARMUP_PROMPT_FILE=str(graph)) as running:
        phases = [line["phase"] for line in running.log_lines() if line["event"] == "solo.phase"]
        assert phases[-2:] == ["The warm-up runs.", "ready"]
        stored = tmp_path / "s" / ".local" / "state" / "comfyserve-solo" / "blobs"
        assert [path for path in stored.rglob("*") if path.is_file()] == []
        assert await running.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("graph", [{"1": {"class_type": "Nothing", "inputs": {}}}, colour_graph(-5)])
async def test_a_warm_up_that_fails_ends_it(tmp_path: Path, graph: Any) -> None:
    file = tmp_path / "warmup.json"
    file.write_text(json.dumps(graph))
    async with starting(tmp_path / "s", WARMUP_PROMPT_FILE=str(file)) as running:
        assert await running.ended() == 1
        assert "Error: The warm-up failed: " in running.log.read_text()


async def test_keys_and_the_depth_of_the_queue(tmp_path: Path) -> None:
    keys = {"COMFYSERVE_API_KEYS": "first-key-1,second-key-2", "MAX_QUEUE_DEPTH": "1", "COMFYSERVE_MAX_QUEUED": "2"}
    async with receiver() as hook, solo(tmp_path / "s", COMFYSERVE_ALLOW_PRIVATE_NETWORK="127.0.0.1", **keys) as one:
        wish = {"prompt": sampler_graph(200), "webhook_v2": hook.url}
        for headers in ({}, {"Authorization": "Bearer first-key-"}, {"x-api-key": "first-key-1,second-key-2"}):
            status, body = await one.post("/prompt", wish, **headers)
            assert (status, body["statusCode"]) == (401, 401)
        assert (await one.get("/health"))[0] == 200
        bearer = {"Authorization": "Bearer second-key-2"}
        answers = [await one.post("/prompt", {**wish, "id": str(number)}, **bearer) for number in range(6)]
        assert {status for status, _ in answers} == {202, 429}
        status, body = await one.get("/ready")
        assert status == 503 and "MAX_QUEUE_DEPTH" in body["reason"]
        taken = {body["id"] for status, body in answers if status == 202}
        await hook.ids(taken)
        await until(lambda: one.get("/ready"), lambda answer: answer[0] == 200)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SoloProgram]:
    """One for the tests that leave it as they found it: two engines, every address, a folder of workflows."""
    place = tmp_path_factory.mktemp("shared")
    folder = place / "workflows" / "colours"
    folder.mkdir(parents=True)
    (folder / "one.py").write_text(WORKFLOW)
    (folder / "broken.py").write_text("this is no Python")
    async with solo(place, HOST="::", COMFYSERVE_WORKERS="2") as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
async def test_workflows_of_the_folder_are_endpoints(shared: SoloProgram) -> None:
    assert "/workflow/colours/one" in "".join(shared.lines)
    status, body = await shared.post("/workflow/colours/one", {"input": {"size": 64}})
    assert status == 200 and len(body["images"]) == 1 and body["input"] == {"size": 64, "color": 7}
    unreadable = [line for line in shared.log_lines() if line["event"] == "workflow_unreadable"]
    assert len(unreadable) == 1 and "broken" in unreadable[0]["file"]


WORKFLOW = """
from pydantic import BaseModel


class Input(BaseModel):
    size: int = 32
    color: int = 7


def generate(input):
    picture = {"width": input.size, "height": input.size, "batch_size": 1, "color": input.color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": picture},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "w"}},
    }
"""


@pytest.mark.asyncio(loop_scope="module")
async def test_two_of_one_state_folder_or_one_port_do_not_start(shared: SoloProgram, tmp_path: Path) -> None:
    code, error = await _command(shared.log.parent, "solo", PORT="0")
    assert code == 1 and "another comfyserve uses" in error
    port = shared.url.rsplit(":", 1)[1]
    code, error = await _command(tmp_path, "solo", PORT=port)
    assert code == 1 and f"cannot listen on 127.0.0.1:{port}" in error


async def test_memory_leaves_no_state(tmp_path: Path) -> None:
    async with solo(tmp_path / "m", "--memory") as running:
        assert (await running.post("/prompt", {"prompt": colour_graph()}))[0] == 200
        await running.stop()
    assert not (tmp_path / "m" / ".local").exists()


async def test_a_setting_that_cannot_be_is_told_with_the_variable_that_was_set(tmp_path: Path) -> None:
    code, error = await _command(tmp_path, "solo", MAX_BODY_SIZE_MB="0")
    assert code == 2 and "MAX_BODY_SIZE_MB" in error
    code, error = await _command(tmp_path, "solo", COMFY_HOME=str(tmp_path), PORT="0")
    assert code == 1 and "COMFY_HOME" in error


@pytest.mark.asyncio(loop_scope="module")
async def test_every_address_is_listened_on_whatever_the_family(shared: SoloProgram) -> None:
    port = int(shared.url.rsplit(":", 1)[1])
    hosts = ["127.0.0.1", "::1"] if _has_loopback_6() else ["127.0.0.1"]
    for host in hosts:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
    assert any(line["event"] == "solo.keyless" for line in shared.log_lines())


@pytest.mark.asyncio(loop_scope="module")
async def test_several_engines_share_the_work(shared: SoloProgram) -> None:
    answers = await asyncio.gather(*(_answer(shared, number) for number in range(12)))
    assert [status for status, _ in answers] == [200] * 12
    await until(lambda: asyncio.to_thread(shared.engines), lambda engines: len(engines) == 2)


async def _answer(running: SoloProgram, number: int) -> tuple[int, Any]:
    return await running.post("/prompt", {"prompt": colour_graph(number), "id": f"r{number}"})


def _has_loopback_6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


async def _command(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMFYSERVE_")}
    environment |= {"HOME": str(folder), "HOST": "127.0.0.1"} | variables
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "comfyserve", *arguments, env=environment, cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    _, error = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, error.decode()
