"""Newer graphs name the members of a dynamic input with dots: validated, run and given to nodes as in ComfyUI."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.dynamic_inputs import AUTOGROW, DYNAMIC_COMBO, expand, nest
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.validate.node_check import types_fit
from tests.embedded.conftest import Seat, serve

COUNT = ("INT", {"min": 1})
GROWING = (AUTOGROW, {"template": {"input": {"required": {"item": COUNT}}, "prefix": "item", "min": 2, "max": 12}})
NAMED = (AUTOGROW, {"template": {"input": {"required": {"item": COUNT}}, "names": ["b", "a"], "min": 1}})
CHOICE = (
    DYNAMIC_COMBO,
    {
        "options": [
            {"key": "one", "inputs": {"required": {"size": COUNT}}},
            {"key": "more", "inputs": {"required": {"items": GROWING}, "optional": {"size": COUNT}}},
        ]
    },
)


@pytest.fixture
async def seat(folders: Folders) -> AsyncIterator[Seat]:
    async with serve(folders, nodes=NODE_CLASS_MAPPINGS) as running:
        yield running


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def names(spec: Any, given: dict[str, Any]) -> dict[str, str]:
    return {name: category for name, category, _ in expand("x", "required", spec, given)}


def test_the_first_members_of_autogrow_are_required() -> None:
    members = names(GROWING, {})
    assert len(members) == 12
    assert [name for name, category in members.items() if category == "required"] == ["x.item0", "x.item1"]


def test_a_choice_has_the_members_of_the_chosen_option() -> None:
    assert names(CHOICE, {"x": "one"}) == {"x": "required", "x.size": "required"}
    assert names(CHOICE, {"x": "other"}) == {"x": "required"}
    chosen = names(CHOICE, {"x": "more"})
    assert chosen["x.size"] == "optional"
    assert chosen["x.items.item1"] == "required"


def test_a_node_gets_one_dictionary_per_dynamic_input() -> None:
    declared = {"required": {"n": COUNT, "x": CHOICE, "y": GROWING, "z": NAMED}}
    values = {"y.item10": 3, "y.item2": 2, "z.a": 1, "z.b": 0, "n": 5, "x.items.item0": 7, "x": "more"}
    nested = nest(declared, values)
    assert nested == {
        "n": 5,
        "x": {"x": "more", "items": {"item0": 7}},
        "y": {"item2": 2, "item10": 3},
        "z": {"b": 0, "a": 1},
    }
    assert [list(nested[name]) for name in ("y", "z")] == [["item2", "item10"], ["b", "a"]]


def test_a_type_that_always_says_yes_is_no_dynamic_one() -> None:
    class Everything(str):
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    assert names((Everything("*"), {}), {}) == {"x": "required"}


@pytest.mark.parametrize(
    ("given", "wanted", "fits"),
    [
        ("COMFY_MATCHTYPE_V3", "IMAGE", True),
        ("MASK", "IMAGE,MASK", True),
        ("LATENT", "IMAGE,MASK", False),
        ("COMBO", ["a", "b"], True),
        ("STRING", ["a", "b"], False),
    ],
)
def test_types_of_links(given: Any, wanted: Any, fits: bool) -> None:
    assert types_fit(given, wanted) is fits


async def test_a_picture_is_resized_and_batched_by_dotted_inputs(seat: Seat) -> None:
    graph = {
        "1": node("EmptyImage", width=40, height=20, batch_size=1, color=0xFF0000),
        "2": node(
            "ResizeImageMaskNode",
            input=["1", 0],
            resize_type="scale longer dimension",
            scale_method="area",
            **{"resize_type.longer_size": 20},
        ),
        "3": node("BatchImagesNode", **{"images.image0": ["2", 0], "images.image1": ["1", 0]}),
        "4": node("GetImageSize", image=["3", 0]),
        "5": node("PreviewAny", source=["4", 0]),
        "6": node("PreviewAny", source=["4", 2]),
    }
    _, record = await seat.run(graph)
    assert record["outputs"]["5"]["text"] == ["20"]
    assert record["outputs"]["6"]["text"] == ["2"]


async def errors_of(seat: Seat, graph: dict[str, Any]) -> list[tuple[str, str]]:
    status, answer = await seat.submit(graph)
    assert status == 400
    return [(error["type"], error["extra_info"]["input_name"]) for error in answer["node_errors"]["2"]["errors"]]


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({"resize_type": "scale width"}, ("required_input_missing", "resize_type.width")),
        ({"resize_type": "no such way"}, ("value_not_in_list", "resize_type")),
        (
            {"resize_type": "scale width", "resize_type.width": 99999},
            ("value_bigger_than_max", "resize_type.width"),
        ),
        (
            {"resize_type": "scale width", "resize_type.width": "wide"},
            ("invalid_input_type", "resize_type.width"),
        ),
    ],
)
async def test_members_are_validated(inputs: dict[str, Any], error: tuple[str, str], seat: Seat) -> None:
    graph = {
        "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
        "2": node("ResizeImageMaskNode", input=["1", 0], scale_method="area", **inputs),
        "3": node("PreviewImage", images=["2", 0]),
    }
    assert await errors_of(seat, graph) == [error]


async def test_a_linked_type_that_the_template_does_not_allow_is_refused(seat: Seat) -> None:
    graph = {
        "1": node("PrimitiveInt", value=3),
        "2": node("BatchImagesMasksLatentsNode", **{"inputs.input0": ["1", 0]}),
        "3": node("PreviewAny", source=["2", 0]),
    }
    assert await errors_of(seat, graph) == [("return_type_mismatch", "inputs.input0")]


@pytest.mark.parametrize(("chosen", "text"), [(True, "yes"), (False, "no")])
async def test_a_switch_runs_only_the_chosen_branch(chosen: bool, text: str, seat: Seat) -> None:
    graph = {
        "yes": node("PrimitiveString", value="yes"),
        "no": node("PrimitiveString", value="no"),
        "switch": node("ComfySwitchNode", switch=chosen, on_true=["yes", 0], on_false=["no", 0]),
        "shown": node("PreviewAny", source=["switch", 0]),
    }
    events, record = await seat.run(graph)
    assert record["outputs"]["shown"]["text"] == [text]
    run = {data["node"] for kind, data in events if kind == "executing"}
    assert {"yes", "no"} - run == {"no" if chosen else "yes"}


async def test_a_soft_switch_takes_the_only_branch(seat: Seat) -> None:
    graph = {
        "no": node("PrimitiveString", value="no"),
        "2": node("ComfySoftSwitchNode", switch=True, on_false=["no", 0]),
        "shown": node("PreviewAny", source=["2", 0]),
    }
    _, record = await seat.run(graph)
    assert record["outputs"]["shown"]["text"] == ["no"]
    del graph["2"]["inputs"]["on_false"]
    status, _ = await seat.submit(graph)
    assert status == 400


async def test_logic_and_choices(seat: Seat) -> None:
    graph = {
        "choice": node("CustomCombo", choice="red", index=2, option1="blue", option2="green"),
        "and": node("ComfyAndNode", **{"values.value0": ["choice", 0], "values.value1": ["choice", 1]}),
        "not": node("ComfyNotNode", value=["and", 0]),
        "or": node("ComfyOrNode", **{"values.value0": ["not", 0], "values.value1": ["and", 0]}),
        "invert": node("InvertBooleanNode", boolean=["or", 0]),
        "none": node("ComfyPassOrNoneNode", default=["choice", 1]),
        **{f"show {name}": node("PreviewAny", source=[name, 0]) for name in ("and", "not", "or", "invert", "none")},
        "show index": node("PreviewAny", source=["choice", 1]),
    }
    _, record = await seat.run(graph)
    shown = {name.removeprefix("show "): ui["text"][0] for name, ui in record["outputs"].items()}
    assert shown == {"and": "True", "not": "False", "or": "True", "invert": "False", "none": "2", "index": "2"}


async def test_a_text_may_choose(seat: Seat) -> None:
    graph = {
        "text": node("PrimitiveString", value="x-axis: vertically"),
        "combo": node("ConvertStringToComboNode", string=["text", 0]),
        "1": node("EmptyImage", width=4, height=4, batch_size=1, color=0),
        "2": node("ImageFlip", image=["1", 0], flip_method=["combo", 0]),
        "3": node("PreviewImage", images=["2", 0]),
    }
    _, record = await seat.run(graph)
    assert record["status"]["status_str"] == "success"
