"""Workflows without code: graphs with a field mapping, and bare graphs."""

import json
from pathlib import Path
from typing import Any

import pytest

from comfyserve.workflows import LoadedWorkflow, load_workflows
from comfyserve.workflows.authors import MAX_SEED
from tests.workflows.folders import GRAPH, Engine, fill, found, refused

INPUTS: dict[str, Any] = {
    "prompt": {"node": "6", "input": "text", "description": "What to paint", "required": True},
    "width": {"node": 5, "input": "width", "min": 256, "max": 2048},
    "cfg_scale": {"node": "3", "input": "cfg"},
    "seed": {"to": ["3.seed", "9.noise"], "type": "seed"},
    "style": {"node": "9", "input": "style", "type": "string", "enum": ["plain", "bold"], "default": "plain"},
    "sampler_name": {"node": "3", "input": "sampler_name", "type": "sampler", "default": "euler"},
    "checkpoint": {"node": "4", "input": "ckpt_name", "type": "model", "folder": "checkpoints"},
    "image": {"node": "9", "input": "image", "type": "image", "default": None},
}


def mapped(**changes: Any) -> str:
    raw = {"summary": "Text to image", "description": "Paints.", "inputs": INPUTS, "graph": GRAPH} | changes
    return json.dumps(raw)


async def one(folder: Path, files: dict[str, str], path: str, **more: Any) -> LoadedWorkflow:
    return found(await load_workflows(fill(folder, files), Engine().context(**more)), path)


async def reason(folder: Path, files: dict[str, str], path: str) -> str:
    return (await load_workflows(fill(folder, files), Engine().context())).unreadable[path]


async def test_values_go_to_their_nodes(tmp_path: Path) -> None:
    workflow = await one(tmp_path, {"sd/a.json": mapped()}, "sd/a", warmup_ckpt="b.safetensors")
    parsed = await workflow.read({"prompt": "a dog", "width": 256.0, "cfg_scale": 7, "no": 1})
    graph = await workflow.graph(parsed)
    assert parsed == {
        "prompt": "a dog",
        "width": 256,
        "cfg_scale": 7,
        "seed": parsed["seed"],
        "style": "plain",
        "sampler_name": "euler",
        "checkpoint": "b.safetensors",
        "image": None,
    }
    assert 0 <= parsed["seed"] <= MAX_SEED
    assert graph["6"]["inputs"] == {"text": "a dog", "clip": ["4", 1]}
    assert graph["9"]["inputs"] == {**GRAPH["9"]["inputs"], "noise": parsed["seed"], "style": "plain"}
    assert graph["3"]["inputs"]["seed"] == parsed["seed"]
    assert json.dumps(graph["3"]["inputs"]["cfg"]) == "7"
    assert (workflow.summary, workflow.description.splitlines()[0]) == ("Text to image", "Paints.")


async def test_a_graph_is_not_changed_by_a_call(tmp_path: Path) -> None:
    workflow = await one(tmp_path, {"a.json": mapped()}, "a")
    await workflow.graph(await workflow.read({"prompt": "first", "image": "x"}))
    graph = await workflow.graph(await workflow.read({"prompt": "second"}))
    assert graph["6"]["inputs"]["text"] == "second"
    assert "image" not in graph["9"]["inputs"]


async def test_what_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    workflow = await one(tmp_path, {"a.json": mapped()}, "a")
    assert await refused(
        workflow, {"width": 100, "cfg_scale": "8", "seed": 1.5, "style": "odd", "checkpoint": "../c", "image": 1}
    ) == {
        "input.prompt": "Required",
        "input.width": "Number must be greater than or equal to 256",
        "input.cfg_scale": "Expected number, received string",
        "input.seed": "Expected integer, received float",
        "input.style": "Invalid enum value. Expected 'plain' or 'bold', received 'odd'",
        "input.checkpoint": "Invalid enum value. Expected 'a.safetensors' | 'b.safetensors', received '../c'",
        "input.image": "Expected string, received number",
    }
    assert await refused(workflow, {"prompt": "", "width": True}) == {
        "input.width": "Expected number, received boolean"
    }


async def test_schema_and_table(tmp_path: Path) -> None:
    workflow = await one(tmp_path, {"a.json": mapped()}, "a")
    properties = workflow.input_schema["properties"]
    assert properties["width"] == {**properties["width"], "minimum": 256, "maximum": 2048, "default": 512}
    assert workflow.input_schema["required"] == ["prompt"]
    rows = workflow.description.splitlines()
    assert "| prompt | string | What to paint | **Required** |" in rows
    assert "| width | number |  | 512 |" in rows
    assert "| seed | number |  | random |" in rows
    assert "| checkpoint | enum (`a.safetensors`, `b.safetensors`) |  | - |" in rows


async def test_a_mapping_may_lie_beside_its_graph(tmp_path: Path) -> None:
    files = {
        "a.yaml": 'inputs:\n  prompt: {node: "6", input: text}\n',
        "a.json": json.dumps(GRAPH),
        "b.yml": "graph: shared/_graph.json\ninputs: {}\n",
        "shared/_graph.json": json.dumps(GRAPH),
    }
    workflow = await one(tmp_path, files, "a")
    assert (await workflow.read({}))["prompt"] == "a cat"
    other = await one(tmp_path, files, "b")
    assert await other.graph(await other.read({"x": 1})) == GRAPH


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.json", "{", "a.json is not JSON: "),
        ("a.json", "[1]", "It holds array; a workflow is an object."),
        ("a.json", json.dumps({"nodes": [], "links": []}), "This is the editor's form"),
        ("a.json", json.dumps({"1": {"inputs": {}}}), "Node 1 has no class_type."),
        ("a.json", mapped(inputs={"x": {"node": "77", "input": "y"}}), "inputs.x: the graph has no node '77'."),
        ("a.json", mapped(inputs={"x": {}}), "inputs.x goes nowhere."),
        ("a.json", mapped(inputs={"x": {"node": "6"}}), "inputs.x: '6.' names no input."),
        ("a.json", mapped(inputs={"x": {"node": "6", "input": "new"}}), "inputs.x: give it a `type`"),
        ("a.json", mapped(inputs={"x": {"node": "6", "input": "text", "maximum": 3}}), "inputs.x.maximum: "),
        ("a.json", mapped(inputs={"x": {"node": "6", "input": "text", "type": "float"}}), "inputs.x.type: "),
        ("a.json", mapped(inputs={"x": {"node": "4", "input": "ckpt_name", "type": "model"}}), "needs a `folder`"),
        (
            "a.json",
            mapped(inputs={"x": {"node": "5", "input": "width", "max": 8}}),
            "inputs.x: its default does not fit",
        ),
        ("a.json", mapped(inputs={"x": {"node": "6", "input": "text", "pattern": "("}}), "bounds do not fit its type"),
        ("a.json", mapped(inputs={"x": {"node": "6", "input": "text", "enum": []}}), "`enum` is a list"),
        ("a.yaml", "a: [", "a.yaml is not YAML: "),
        ("a.yaml", "inputs: {}", "Its graph is not there: put a.json beside it"),
        ("a.yaml", "graph: ../../etc/passwd", "lies outside of the workflow folder"),
    ],
)
async def test_a_file_that_cannot_be_read_is_listed(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    assert sentence in await reason(tmp_path, {name: text}, "a")


async def test_a_bare_graph_is_addressed_by_node_and_input(tmp_path: Path) -> None:
    workflow = await one(tmp_path, {"bare.json": json.dumps(GRAPH)}, "bare")
    parsed = await workflow.read({"6.text": "a dog", "5.width": 64, "77.x": 1, "clip": 2})
    graph = await workflow.graph(parsed)
    assert parsed == {"6.text": "a dog", "5.width": 64}
    assert graph["6"]["inputs"]["text"] == "a dog"
    assert graph["5"]["inputs"]["width"] == 64
    assert graph["3"] == GRAPH["3"]
    assert workflow.input_schema["properties"]["5.width"]["default"] == 512
    assert list(await refused(workflow, {"5.width": "wide"})) == ["input.5.width"]
    assert '| 6.text | string | CLIPTextEncode | "a cat" |' in workflow.description


async def test_a_bare_graph_with_external_nodes_has_their_inputs(tmp_path: Path) -> None:
    external = {"class_type": "ComfyUIDeployExternalText", "inputs": {"input_id": "prompt", "default_value": "a cat"}}
    workflow = await one(tmp_path, {"bare.json": json.dumps({**GRAPH, "20": external})}, "bare")
    graph = await workflow.graph(await workflow.read({"prompt": "a dog"}))
    assert graph["20"]["inputs"]["input_id"] == "a dog"
    assert workflow.input_schema["properties"]["prompt"]["type"] == "string"


async def test_names_in_a_bare_graph_stay_in_their_folder(tmp_path: Path) -> None:
    graph = {**GRAPH, "30": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    workflow = await one(tmp_path, {"bare.json": json.dumps(graph)}, "bare")
    assert list(await refused(workflow, {"30.image": "../../etc/passwd"})) == ["input.30.image"]
