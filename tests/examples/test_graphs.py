"""Each graph of examples/graphs runs as it is, on one embedded engine, at a small size."""

import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from comfyserve.core.graph import parse_graph
from comfyserve.core.inputs.declare import declare
from comfyserve.core.inputs.externals import Kind
from comfyserve.embedded.context import EngineSettings
from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.graph_view import Graph
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.simulate.model_files import well_known
from tests.embedded.conftest import Seat, serve_engine

GRAPHS = Path(__file__).parents[2] / "examples" / "graphs"
NAMES = sorted(path.parent.name for path in GRAPHS.glob("*/workflow_api.json"))
CLIPS = {
    *("animatediff", "cogvideox", "cosmos", "hunyuan-video"),
    *("ltxv-i2v", "ltxv-t2v", "mochi", "wan21-t2v", "wan22-i2v"),
}
SIDE, LENGTH = 192, 9
MODEL_FILE = re.compile(r".+\.(safetensors|ckpt|pth)")
MOST_RESULT = {"picture": 40_000, "clip": 150_000}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seat]:
    folders = Folders(tmp_path_factory.mktemp("engine"), well_known())
    folders.create()
    async with serve_engine(build_engine(folders, load_catalogue(folders), None, EngineSettings(step_ms=0))) as seat:
        yield seat


def read(name: str) -> Graph:
    graph: Graph = json.loads((GRAPHS / name / "workflow_api.json").read_text("utf-8"))
    return graph


def reduced(name: str) -> Graph:
    """The example with small pictures and short clips; all else as it is."""
    graph = read(name)
    for node in graph.values():
        inputs = node["inputs"]
        inputs |= {side: SIDE for side in ("width", "height") if side in inputs}
        inputs |= {count: LENGTH for count in ("length", "num_frames") if count in inputs}
        if inputs.get("batch_size", 1) > 1:
            inputs["batch_size"] = LENGTH
    return graph


def changed(graph: Graph, class_type: str, value: Any) -> Graph:
    (node,) = (node for node in graph.values() if node["class_type"] == class_type)
    node["inputs"]["default_value"] = value
    return graph


async def made(engine: Seat, graph: Graph) -> tuple[str, np.ndarray[Any, Any]]:
    """The name of the one file that the graph gives, and its last frame; it must be marked as simulated."""
    _, record = await engine.run(graph)
    assert record["status"]["status_str"] == "success", record["status"]["messages"][-1]
    (output,) = record["outputs"].values()
    assert output["simulated"] == [True]
    (file,) = output["images"] if "images" in output else output["gifs"]
    place = {key: file[key] for key in ("filename", "subfolder", "type")}
    status, body = await engine.call("GET", "/view", params=place)
    assert status == 200
    if file["filename"].endswith(".png"):
        picture = Image.open(io.BytesIO(body))
        assert picture.info["simulated"] == "true"
        return file["filename"], np.asarray(picture, np.int16)
    with av.open(io.BytesIO(body), "r") as video:
        assert {key.lower(): value for key, value in video.metadata.items()}["simulated"] == "true"
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) > 1
    return file["filename"], frames[-1].astype(np.int16)


@pytest.mark.parametrize("name", NAMES)
async def test_it_runs_and_prompt_and_seed_decide_the_result(engine: Seat, name: str) -> None:
    file, first = await made(engine, reduced(name))
    assert file.endswith((".mp4", ".webm") if name in CLIPS else ".png")
    words = changed(reduced(name), "ComfyUIDeployExternalText", "a yellow mug on a black background")
    _, other_words = await made(engine, words)
    _, other_seed = await made(engine, changed(reduced(name), "ComfyUIDeployExternalSeed", 987654321))
    assert first.std() > 5
    assert np.abs(first - other_words).mean() > 1
    assert np.abs(first - other_seed).mean() > 0.1


@pytest.mark.parametrize("name", NAMES)
async def test_its_models_are_listed(engine: Seat, name: str) -> None:
    texts = [text for node in read(name).values() for text in node["inputs"].values() if isinstance(text, str)]
    named = {text for text in texts if MODEL_FILE.fullmatch(text)}
    _, kinds = await engine.call("GET", "/models")
    listed = {file for kind in kinds for file in (await engine.call("GET", f"/models/{kind}"))[1]}
    assert named <= listed
    assert named or name == "cogvideox"


@pytest.mark.parametrize("name", NAMES)
async def test_its_inputs_are_declared_with_defaults(name: str) -> None:
    declared = {one.id: one for one in declare(parse_graph(read(name)))}
    assert {"input_text", "input_seed"} <= declared.keys()
    for one in declared.values():
        assert one.default, one.id
        assert one.label
        assert one.kind in {Kind.TEXT, Kind.SEED, Kind.IMAGE}


@pytest.mark.parametrize("name", NAMES)
async def test_every_node_has_a_title(name: str) -> None:
    assert all(node["_meta"]["title"] for node in read(name).values())


@pytest.mark.parametrize("name", NAMES)
async def test_its_result_is_kept_small_beside_it(name: str) -> None:
    path = GRAPHS / name / "result.webp"
    with Image.open(path) as result:
        frames, side = getattr(result, "n_frames", 1), max(result.size)
    assert path.stat().st_size < MOST_RESULT["clip" if name in CLIPS else "picture"]
    assert (frames == 1, side <= 512) == (name not in CLIPS, True)


async def test_the_readme_names_every_example_and_its_models() -> None:
    rows = {row.split("]")[0].removeprefix("| ["): row for row in (GRAPHS / "README.md").read_text().splitlines()}
    assert set(NAMES) <= rows.keys()
    for name in NAMES:
        assert f"{name}/result.webp" in rows[name]
        for node in read(name).values():
            assert all(value in rows[name] for value in node["inputs"].values() if MODEL_FILE.fullmatch(str(value)))
