"""`python -m comfyserve.embedded` as a process: it starts, answers, and ends with those it should end with."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

MODULE = [sys.executable, "-m", "comfyserve.embedded", "--port", "0"]
WAIT_SECONDS = 30

STARTER = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stderr=sys.stderr)
print(child.pid, flush=True)
sys.stdin.read()
"""


async def line_of(stream: asyncio.StreamReader | None, event: str) -> dict[str, Any]:
    """The next log line with this event; every line must be JSON."""
    assert stream is not None
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            line: dict[str, Any] = json.loads(await stream.readline())
            if line["event"] == event:
                return line


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *MODULE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_and_ends_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    process = await start("--base-directory", str(tmp_path))
    try:
        port = (await line_of(process.stderr, "listening"))["port"]
        (tmp_path / "temp" / "left.png").touch()
        url = f"http://127.0.0.1:{port}/object_info/SaveImage"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert (await response.json())["SaveImage"]["output_node"] is True
    finally:
        process.send_signal(number)
        async with asyncio.timeout(WAIT_SECONDS):
            output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"")
    assert not (tmp_path / "temp").exists()


async def test_packs_are_chosen_by_options_and_model_folders_by_a_file(tmp_path: Path) -> None:
    for name in ("good", "torchy"):
        (tmp_path / "custom_nodes" / name).mkdir(parents=True)
    (tmp_path / "custom_nodes" / "good" / "__init__.py").write_text("raise RuntimeError('must not be loaded')")
    (tmp_path / "custom_nodes" / "torchy" / "__init__.py").write_text("import torch")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "own.safetensors").touch()
    (tmp_path / "paths.yaml").write_text("mine:\n  loras: more\n")
    choice = ("--disable-all-custom-nodes", "--whitelist-custom-nodes", "torchy")
    process = await start(
        "--base-directory", str(tmp_path), *choice, "--extra-model-paths-config", str(tmp_path / "paths.yaml")
    )
    try:
        failed = await line_of(process.stderr, "node package failed to load")
        port = (await line_of(process.stderr, "listening"))["port"]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/models/loras") as response:
            loras = await response.json()
    finally:
        process.terminate()
        await process.communicate()
    assert (failed["package"], failed["reason"]) == ("torchy", "needs torch: use a real ComfyUI")
    assert "own.safetensors" in loras


async def test_a_running_prompt_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    (tmp_path / "custom_nodes").mkdir()
    (tmp_path / "custom_nodes" / "stuck.py").write_text(
        "import time\n"
        "class Stuck:\n"
        "    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), 'run', True\n"
        "    INPUT_TYPES = staticmethod(lambda: {'required': {'ms': ('INT', {})}})\n"
        "    def run(self, ms):\n"
        "        from comfyserve.embedded.context import current\n"
        "        while True:\n"
        "            current().progress(0, 1)\n"
        "            time.sleep(0.01)\n"
        "NODE_CLASS_MAPPINGS = {'Stuck': Stuck}\n"
    )
    process = await start("--base-directory", str(tmp_path))
    try:
        port = (await line_of(process.stderr, "listening"))["port"]
        async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/ws") as socket:
            graph = {"1": {"class_type": "Stuck", "inputs": {"ms": 1}}}
            async with session.post(f"http://127.0.0.1:{port}/prompt", json={"prompt": graph}) as response:
                assert response.status == 200
            async with asyncio.timeout(WAIT_SECONDS):
                while (await socket.receive_json())["type"] != "progress":
                    pass
    finally:
        process.terminate()
        async with asyncio.timeout(WAIT_SECONDS):
            await process.communicate()
    assert process.returncode == 0


async def test_an_address_in_use_is_told(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        process = await start("--port", str(port), "--base-directory", str(tmp_path))
        line = await line_of(process.stderr, "cannot listen")
        await process.communicate()
    assert (process.returncode, line["port"]) == (1, port)


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTER, *MODULE, "--base-directory", str(tmp_path), "--exit-with-parent"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert starter.stdout is not None
    engine = psutil.Process(int(await starter.stdout.readline()))
    try:
        await line_of(starter.stderr, "listening")
        starter.kill()
        await starter.wait()
        await line_of(starter.stderr, "stopping")
        await asyncio.to_thread(psutil.wait_procs, [engine], timeout=WAIT_SECONDS)
        assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE
    finally:
        if engine.is_running() and engine.status() != psutil.STATUS_ZOMBIE:
            os.kill(engine.pid, signal.SIGKILL)


async def test_a_parent_that_is_gone_already_ends_it(tmp_path: Path) -> None:
    process = await start("--base-directory", str(tmp_path), "--exit-with-parent", "1")
    async with asyncio.timeout(WAIT_SECONDS):
        await process.communicate()
    assert process.returncode == 0
