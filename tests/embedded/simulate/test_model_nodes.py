"""The model nodes in a running engine, and the POD example on it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.graph_view import Graph
from tests.embedded.conftest import Seat

POD = Path(__file__).parents[3] / "examples" / "pod"
CHECKPOINT = "simulated-sd15.safetensors"


def text_to_image(**sampler: Any) -> Graph:
    sampler = {
        "seed": 5,
        "steps": 3,
        "cfg": 7.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
        **sampler,
    }
    links = {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINT}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red mug", "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 64, "batch_size": 2}},
        "5": {"class_type": "KSampler", "inputs": {**links, **sampler}},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "t"}},
    }


def pod(size: int | None = None, logo: Image.Image | None = None) -> Graph:
    graph: Graph = json.loads((POD / "workflow_api.json").read_text())
    graph["24"]["inputs"]["steps"] = 1
    if size is not None:
        graph["3"]["inputs"]["input_id"] = str(size)
    if logo is not None:
        buffer = io.BytesIO()
        logo.save(buffer, "PNG")
        graph["1"]["inputs"]["input_id"] = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return graph


async def picture(engine: Seat, graph: Graph, node: str) -> Image.Image:
    _, record = await engine.run(graph)
    assert record["status"]["status_str"] == "success", record["status"]
    status, body = await engine.call("GET", "/view", params=record["outputs"][node]["images"][0])
    assert status == 200
    return Image.open(io.BytesIO(body))


async def test_a_text_to_image_graph_runs_and_is_marked_as_simulated(engine: Seat) -> None:
    events, record = await engine.run(text_to_image())
    assert record["outputs"]["7"]["simulated"] == [True]
    assert len(record["outputs"]["7"]["images"]) == 2
    steps = [data["value"] for kind, data in events if kind == "progress" and data["node"] == "5"]
    assert steps == [1, 2, 3]
    assert [kind for kind, _ in events].count("binary") >= 1
    status, body = await engine.call("GET", "/view", params=record["outputs"]["7"]["images"][0])
    saved = Image.open(io.BytesIO(body))
    assert (status, saved.size, saved.info["simulated"]) == (200, (128, 64), "true")


async def test_a_model_free_graph_is_not_marked(engine: Seat) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 255}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "t"}},
    }
    _, record = await engine.run(graph)
    assert record["outputs"]["2"].keys() == {"images"}
    assert "simulated" not in (await picture(engine, graph, "2")).info


async def test_files_are_listed_beside_the_well_known_names_and_everywhere_alike(
    engine: Seat, folders: Folders
) -> None:
    (folders.models / "checkpoints").mkdir()
    (folders.models / "checkpoints" / "mine.safetensors").touch()
    _, info = await engine.call("GET", "/object_info/CheckpointLoaderSimple")
    offered = info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0]
    assert {CHECKPOINT, "mine.safetensors", "sd_xl_base_1.0.safetensors"} <= set(offered)
    assert (await engine.call("GET", "/models/checkpoints"))[1] == offered
    graph = text_to_image()
    graph["1"]["inputs"]["ckpt_name"] = "mine.safetensors"
    assert (await engine.submit(graph))[0] == 200


async def test_without_the_well_known_names_only_files_are_listed(tmp_path: Path) -> None:
    bare = Folders(tmp_path / "bare")
    bare.create()
    assert bare.model_files("checkpoints") == []


async def test_a_missing_checkpoint_is_refused_at_validation(engine: Seat) -> None:
    graph = text_to_image()
    graph["1"]["inputs"]["ckpt_name"] = "absent.safetensors"
    status, answer = await engine.submit(graph)
    assert status == 400
    assert answer["node_errors"]["1"]["errors"][0]["type"] == "value_not_in_list"


async def test_a_batch_beyond_memory_fails_with_a_hint(engine: Seat) -> None:
    graph = text_to_image()
    graph["4"]["inputs"] |= {"width": 16384, "height": 16384, "batch_size": 4096}
    _, record = await engine.run(graph)
    assert record["status"]["status_str"] == "error"
    assert "Ask for less" in json.dumps(record["status"]["messages"])


@pytest.mark.parametrize("size", [512, 768, 1024])
async def test_the_logo_is_on_the_product_at_every_size_and_its_transparency_is_respected(
    engine: Seat, size: int
) -> None:
    logo = Image.new("RGBA", (100, 100), (0, 255, 0, 0))
    logo.paste((255, 0, 255, 255), (50, 0, 100, 100))
    plain = np.asarray(await picture(engine, pod(size), "60"), dtype=np.int16)
    printed = np.asarray(await picture(engine, pod(size, logo), "60"), dtype=np.int16)
    assert printed.shape == (size, size, 3)
    changed = np.abs(printed - plain).max(axis=-1) > 24
    rows, columns = np.nonzero(changed)
    # The right half of the print area, as shares of the picture; the left half is transparent.
    edges = [columns.min() / size, columns.max() / size, rows.min() / size, rows.max() / size]
    assert edges == pytest.approx([0.5, 0.625, 0.256, 0.506], abs=0.01)
    red, green, blue = printed[round(0.4 * size), round(0.57 * size)]
    assert min(red, blue) > 150 > 60 > green


async def test_the_pod_example_takes_a_logo_without_alpha(engine: Seat) -> None:
    plain = np.asarray(await picture(engine, pod(512), "60"), dtype=np.int16)
    printed = np.asarray(await picture(engine, pod(512, Image.new("RGB", (40, 20), (255, 0, 0))), "60"), dtype=np.int16)
    assert np.abs(printed - plain).max() > 100


def test_the_real_graph_differs_only_in_its_model() -> None:
    graphs = [json.loads((POD / name).read_text()) for name in ("workflow_api.json", "workflow_api.real.json")]
    for graph in graphs:
        del graph["20"]["inputs"]["ckpt_name"], graph["24"]["inputs"]["steps"], graph["24"]["inputs"]["cfg"]
    assert graphs[0] == graphs[1]


def test_the_example_names_files_that_exist() -> None:
    deployment = json.loads((POD / "deployment.json").read_text())
    assert (POD / deployment["workflow"]).is_file()
    with Image.open(POD / deployment["inputs"]["input_image"]["default_file"]) as logo:
        assert logo.mode == "RGBA"
        assert logo.getchannel("A").getextrema() == (0, 255)
