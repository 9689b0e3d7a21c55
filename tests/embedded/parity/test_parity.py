"""Graphs of model-free nodes give the pixels and texts of real ComfyUI 0.3.64, through the engine as a program.

Each folder in cases/ has workflow_api.json, case.json (tolerances) and expected/ (manifest.json, files); inputs/ has
what they load. `max_abs` bounds the largest difference of an 8-bit sample, `max_fraction` the share of differing ones,
`audio_max_abs` the largest difference of a sound's 16-bit sample.
"""

import io
import json
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from aiohttp import ClientSession
from PIL import Image, ImageSequence

HERE = Path(__file__).parent
CASES = sorted(path.name for path in (HERE / "cases").iterdir())
SECONDS_PER_CASE = 60
# Whether a file is animated is compared by its frames.
INFORMATIVE = {"animated"}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine whose input folder holds the sources of all cases."""
    base = tmp_path_factory.mktemp("engine")
    shutil.copytree(HERE / "inputs", base / "input")
    command = [sys.executable, "-m", "comfyserve.embedded", "--port", "0", "--base-directory", str(base)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = _listening_port(process.stderr)
        drain = threading.Thread(target=deque, args=(process.stderr, 0))
        drain.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            drain.join()


def _listening_port(log: Iterator[str]) -> int:
    for line in log:
        entry = json.loads(line)
        if entry["event"] == "listening":
            return int(entry["port"])
    raise AssertionError("the engine ended before it was listening")


@pytest.mark.parametrize("name", CASES)
async def test_case(name: str, engine: str) -> None:
    folder = HERE / "cases" / name
    case, graph = _read(folder / "case.json"), _read(folder / "workflow_api.json")
    manifest = _read(folder / "expected" / "manifest.json")
    for node_id, node in graph.items():
        if "filename_prefix" in node["inputs"]:
            node["inputs"]["filename_prefix"] = f"{name}/{node['inputs']['filename_prefix']}_{node_id}"
    async with ClientSession(engine) as session:
        outputs = await _run(session, graph)
        for node_id, expected in manifest["outputs"].items():
            allowed = case["tolerance_overrides"].get(expected["prefix"], case["tolerance"])
            ui = outputs.get(node_id, {})
            for key in expected["ui"].keys() - INFORMATIVE:
                assert ui.get(key) == expected["ui"][key], f"node {node_id}"
            for index, file in enumerate(expected["files"]):
                got = await _view(session, ui[file["key"]][index])
                compare = _compare_sound if file["key"] == "audio" else _compare
                compare((folder / "expected" / file["file"]).read_bytes(), got, allowed, file["file"])


def _read(path: Path) -> Json:
    content: Json = json.loads(path.read_bytes())
    return content


async def _run(session: ClientSession, graph: Json) -> Json:
    """The outputs of the graph, once the engine says that it is done with it."""
    async with _messages(session) as messages:
        async with session.post("/prompt", json={"prompt": graph, "client_id": "parity"}) as answer:
            accepted = await answer.json()
            assert answer.status == 200, accepted
            assert accepted["node_errors"] == {}
        prompt_id = accepted["prompt_id"]
        async for message in messages:
            if message["type"] == "executing" and message["data"] == {"node": None, "prompt_id": prompt_id}:
                break
    async with session.get(f"/history/{prompt_id}") as answer:
        record = (await answer.json())[prompt_id]
    assert record["status"]["status_str"] == "success", record["status"]["messages"][-1]
    outputs: Json = record["outputs"]
    return outputs


@asynccontextmanager
async def _messages(session: ClientSession) -> AsyncIterator[AsyncIterator[Json]]:
    async with session.ws_connect("/ws", params={"clientId": "parity"}) as socket:

        async def texts() -> AsyncIterator[Json]:
            while True:
                message = await socket.receive(SECONDS_PER_CASE)
                if isinstance(message.data, str):
                    yield json.loads(message.data)

        yield texts()


async def _view(session: ClientSession, item: Json) -> bytes:
    place = {key: item[key] for key in ("filename", "subfolder", "type")}
    async with session.get("/view", params=place) as answer:
        assert answer.status == 200, place
        return await answer.read()


def _frames(data: bytes) -> list[npt.NDArray[np.int64]]:
    with Image.open(io.BytesIO(data)) as picture:
        return [np.asarray(frame).astype(np.int64) for frame in ImageSequence.Iterator(picture)]


def _compare(expected: bytes, got: bytes, allowed: Json, name: str) -> None:
    wanted, frames = _frames(expected), _frames(got)
    assert [frame.shape for frame in frames] == [frame.shape for frame in wanted], name
    differences = [np.abs(frame - other) for frame, other in zip(frames, wanted, strict=True)]
    largest = max(int(difference.max()) for difference in differences)
    fraction = max(float((difference > 0).mean()) for difference in differences)
    assert largest <= allowed["max_abs"], f"{name}: a sample differs by {largest}"
    assert fraction <= allowed["max_fraction"], f"{name}: {fraction:.4f} of the samples differ"


def _pcm(data: bytes) -> tuple[npt.NDArray[np.int64], int]:
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray().astype(np.int64) for frame in container.decode(stream)]
        # All files are 16-bit FLAC, which decodes to packed samples.
        return np.concatenate(frames, axis=1).reshape(-1, stream.channels), stream.rate


def _compare_sound(expected: bytes, got: bytes, allowed: Json, name: str) -> None:
    (wanted, rate), (samples, got_rate) = _pcm(expected), _pcm(got)
    assert (samples.shape, got_rate) == (wanted.shape, rate), name
    largest = int(np.abs(samples - wanted).max())
    assert largest <= allowed["audio_max_abs"], f"{name}: a sample differs by {largest}"
