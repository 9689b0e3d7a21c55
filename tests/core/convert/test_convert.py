"""The conversion against what the ComfyUI editor made of the same files, and case by case."""

import json
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.convert import convert_workflow, is_editor_form
from comfyserve.core.errors import InvalidGraph
from comfyserve.core.graph import parse_graph
from tests.core.convert.workflows import node, subgraph, workflow

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))


@pytest.mark.parametrize("file", FIXTURES, ids=lambda file: file.stem)
def test_equals_what_the_editor_sends(catalogue: Any, file: Path) -> None:
    """Each fixture holds a workflow of ours and what front end 1.58.1 made of it."""
    fixture = json.loads(file.read_text())
    assert convert_workflow(fixture["workflow"], catalogue) == fixture["api"]
    assert parse_graph(fixture["api"]).nodes


def test_tells_the_forms_apart() -> None:
    assert is_editor_form({"nodes": [], "links": []})
    assert not is_editor_form({"1": {"class_type": "A", "inputs": {}}})
    assert not is_editor_form({"nodes": {"class_type": "A"}, "links": {"class_type": "B"}})
    assert not is_editor_form([])


def test_every_node_at_fault_is_named(catalogue: Any) -> None:
    camera = {"input": {"required": {"image": ["WEBCAM", {}]}}, "output": ["IMAGE"], "name": "Camera"}
    raw = workflow(
        [
            node(1, "Gone"),
            node(2, "workflow>Mine"),
            node(3, "Camera"),
            node(4, "Gone", mode=2),
            node(5, "Inner"),
        ],
        subgraphs=[subgraph("Inner", [node(8, "AlsoGone")])],
    )
    with pytest.raises(InvalidGraph) as caught:
        convert_workflow(raw, {**catalogue, "Camera": camera})
    found = {(one["node_id"], one["class_type"]) for one in caught.value.details["nodes"]}
    assert found == {("1", "Gone"), ("2", "workflow>Mine"), ("3", "Camera"), ("5:8", "AlsoGone")}
    assert caught.value.message.startswith("4 nodes of this editor workflow cannot be converted")
    assert "node 3 (Camera): image is a picture of the camera" in caught.value.message
    assert caught.value.place.node_id == "1"


def test_values_by_name(catalogue: Any) -> None:
    """Some packs save a dictionary of their widgets."""
    raw = workflow([node(1, "ShapeTint", values={"keep": False, "videopreview": {"hidden": True}})])
    assert convert_workflow(raw, catalogue)["1"]["inputs"] == {"amount": 0.5, "keep": False}


def test_a_list_of_loras_that_a_script_makes(catalogue: Any) -> None:
    loras = [{"on": True, "lora": "a", "strength": 1, "strengthTwo": None}, {"on": False, "lora": "b", "strength": 2}]
    kind = "Power Lora Loader (rgthree)"
    raw = workflow([node(1, kind, values=[{}, {"type": "PowerLoraLoaderHeaderWidget"}, *loras, {}, ""])])
    converted = convert_workflow(raw, {**catalogue, kind: {"input": {"optional": {"model": ["MODEL"]}}}})
    assert converted["1"]["inputs"] == {"lora_1": {"on": True, "lora": "a", "strength": 1}, "lora_2": loras[1]}


def test_a_format_brings_its_widgets(catalogue: Any) -> None:
    """VideoHelperSuite's Video Combine saves its widgets by name, and which there are depends on the format."""
    formats = {"video/x": [["crf", "INT", {"default": 19}], ["pix_fmt", ["yuv420p", "rgb24"]], "broken", []]}
    combine = {
        "input": {"required": {"format": [["gif", "video/x"], {"formats": formats}], "last": ["INT", {"default": 1}]}},
        "name": "Combine",
    }
    given = {"format": "video/x", "crf": 30, "last": 2, "videopreview": {}}
    raw = workflow([node(1, "Combine", values=given), node(2, "Combine", values={"format": "gif", "crf": 30})])
    made = convert_workflow(raw, {**catalogue, "Combine": combine})
    assert made["1"]["inputs"] == {"format": "video/x", "crf": 30, "pix_fmt": "yuv420p", "last": 2}
    assert made["2"]["inputs"] == {"format": "gif", "last": 1}


def test_getters_take_from_setters_of_the_same_name(catalogue: Any) -> None:
    raw = workflow(
        [
            node(1, "LoadImage", outputs=["IMAGE"], values=["one.png", "image"]),
            node(2, "SetNode", inputs=[("IMAGE", "IMAGE", 1)], outputs=["IMAGE"], values=["picture"]),
            node(3, "GetNode", outputs=["IMAGE"], values=["picture"]),
            node(4, "SaveImage", inputs=[("images", "IMAGE", 2)], values=["x"]),
            node(5, "Label (rgthree)"),
        ],
        [[1, 1, 0, 2, 0, "IMAGE"], [2, 3, 0, 4, 0, "IMAGE"]],
    )
    converted = convert_workflow(raw, catalogue)
    assert set(converted) == {"1", "4"}
    assert converted["4"]["inputs"]["images"] == ["1", 0]


def test_a_getter_inside_a_subgraph_finds_the_setter_outside(catalogue: Any) -> None:
    inner = subgraph(
        "Inner",
        [
            node(11, "GetNode", outputs=["IMAGE"], values=["picture"]),
            node(12, "SaveImage", inputs=[("images", "IMAGE", 7)], values=["x"]),
        ],
        [(7, 11, 0, 12, 0, "IMAGE")],
    )
    raw = workflow(
        [
            node(1, "LoadImage", outputs=["IMAGE"], values=["one.png", "image"]),
            node(2, "SetNode", inputs=[("IMAGE", "IMAGE", 1)], values=["picture"]),
            node(3, "Inner"),
        ],
        [[1, 1, 0, 2, 0, "IMAGE"]],
        [inner],
    )
    assert convert_workflow(raw, catalogue)["3:12"]["inputs"]["images"] == ["1", 0]


def test_a_wire_straight_through_a_subgraph(catalogue: Any) -> None:
    """Its output is linked to its input: the source is what the instance is linked to."""
    inner = subgraph("Inner", [], [(7, -10, 0, -20, 0, "IMAGE")], [("in", "IMAGE", [7])], [("out", "IMAGE", [7])])
    raw = workflow(
        [
            node(1, "LoadImage", outputs=["IMAGE"], values=["one.png", "image"]),
            node(2, "Inner", inputs=[("in", "IMAGE", 1)], outputs=["IMAGE"]),
            node(3, "SaveImage", inputs=[("images", "IMAGE", 2)], values=["x"]),
        ],
        [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]],
        [inner],
    )
    assert convert_workflow(raw, catalogue)["3"]["inputs"]["images"] == ["1", 0]


def test_a_muted_instance_inside_a_subgraph_does_not_run(catalogue: Any) -> None:
    leaf = subgraph("Leaf", [node(21, "SaveImage", values=["x"])])
    outer = subgraph("Outer", [node(11, "Leaf", mode=2), node(12, "LoadImage", values=["one.png"])])
    assert set(convert_workflow(workflow([node(1, "Outer")], subgraphs=[leaf, outer]), catalogue)) == {"1:12"}


def test_prompts_without_comments_and_with_their_first_choice(catalogue: Any) -> None:
    raw = workflow([node(1, "ShapeText", values=["{a {big|small} cat|a dog} /* no */ here // end\nsecond \\{line\\}"])])
    assert convert_workflow(raw, catalogue)["1"]["inputs"]["text"] == "a big cat  here \nsecond {line}"


def test_dates_in_file_names_are_left_to_the_engine(catalogue: Any) -> None:
    """The editor writes today's date; here each run shall have its own."""
    raw = workflow([node(1, "SaveImage", values=["%date:yyyy-MM-dd%/%width%/%Nobody.text%"])])
    assert convert_workflow(raw, catalogue)["1"]["inputs"]["filename_prefix"] == (
        "%year%-%month%-%day%/%width%/%Nobody.text%"
    )


def test_a_choice_of_the_users_own_texts(catalogue: Any) -> None:
    combo = {"input": {"required": {"choice": ["COMBO", {"options": []}]}}, "output": ["STRING", "INT"]}
    raw = workflow([node(1, "CustomCombo", values=["b", 0, "a", "b", ""])])
    converted = convert_workflow(raw, {**catalogue, "CustomCombo": combo})
    assert converted["1"]["inputs"] == {"choice": "b", "index": 1, "option1": "a", "option2": "b", "option3": ""}


def test_nothing_that_runs(catalogue: Any) -> None:
    with pytest.raises(InvalidGraph, match="No node of this workflow runs"):
        convert_workflow(workflow([node(1, "Note", values=["x"])]), catalogue)
