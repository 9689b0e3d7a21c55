"""Which engine runs, and what says so, is told at the start; installs of comfyui-api work as they are."""

import asyncio
import json
import shlex
import sys
from pathlib import Path

import pytest

from comfyserve.engines.launch import free_port
from tests.e2e.faults import LOG, submit
from tests.e2e.program import colour_graph, finished, program


async def test_the_variables_of_comfyui_api_start_its_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = f"{sys.executable} -m comfyserve.embedded --port $COMFYUI_PORT_HOST --base-directory {tmp_path / 'comfy'}"
    (tmp_path / "comfy").mkdir()
    (tmp_path / "init.sh").write_text(f"#!/bin/sh\necho starting on $DIRECT_ADDRESS\n{engine} &\n")
    (tmp_path / "init.sh").chmod(0o755)
    port = free_port("127.0.0.1")
    monkeypatch.setenv("CMD", str(tmp_path / "init.sh"))
    monkeypatch.setenv("COMFY_HOME", str(tmp_path / "comfy"))
    monkeypatch.setenv("COMFYUI_PORT_HOST", str(port))
    async with program(tmp_path / "data", example="none") as running, running.client() as client:
        assert (await finished(client, await submit(client, colour_graph(1))))["status"] == "success"
        [machine] = (await client.get("/v1/machines"))["items"]
        assert (machine["kind"], machine["workers"]) == ("process", 1)
    said = "\n".join(running.lines)
    assert (
        f"ComfyUI started by `{shlex.quote(str(tmp_path / 'init.sh'))}`" in said
        and "because CMD and COMFY_HOME say so" in said
    )
    log = (tmp_path / LOG).read_text()
    assert "color_message" not in log  # uvicorn's, with codes for terminals
    assert "starting on 127.0.0.1" in log and '"setting_borrowed"' in log and "COMFYUI_PORT_HOST" in log


async def test_without_any_comfyui_the_embedded_engine_runs_and_is_told(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "comfyserve", "up", "--json", "--port", "0", "--data-dir", str(tmp_path / "data")),
        *("--example", "none"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    told = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["engine"]
    process.terminate()
    await process.wait()
    assert (told["kind"], told["workers"], told["from"], told["borrowed"]) == ("embedded", 1, [], {})
    assert "simulated" in told["text"]
