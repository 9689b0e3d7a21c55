"""The External nodes inside the embedded engine."""

import math
from types import ModuleType
from typing import Any

import pytest

from comfyserve.core.graph import parse_graph
from comfyserve.core.inputs import bind, declare

from .conftest import RunNode

EXTERNAL = "ComfyUIDeployExternal"


@pytest.mark.parametrize(
    ("name", "inputs", "value"),
    [
        ("Text", {"input_id": "input_text", "default_value": "a cap"}, "a cap"),
        ("Text", {"input_id": "input_text"}, ""),
        ("Enum", {"input_id": "x", "default_value": "b", "options": '["a"]'}, "b"),
        ("Color", {"input_id": "x", "default_value": "#fff"}, "#fff"),
        ("Boolean", {"input_id": "x", "default_value": True}, True),
        ("Boolean", {"input_id": "False", "default_value": True}, False),
        ("Number", {"input_id": "1e3", "default_value": 2.0}, 1000.0),
        ("Number", {"input_id": "input_number", "default_value": 2}, 2.0),
        ("Number", {"input_id": "nancy", "default_value": 2}, 2.0),
        ("Number", {"input_id": "9" * 1_000_000 + "x", "default_value": 2}, 2.0),
        ("Number", {"input_id": "-.5e1"}, -5.0),
        ("NumberInt", {"input_id": "-5", "default_value": 2}, -5),
        ("NumberInt", {"input_id": "3.0", "default_value": 2}, 3),
        ("NumberInt", {"input_id": "9007199254740993"}, 9007199254740993),
        ("NumberInt", {"input_id": "0", "default_value": 2}, 0),
        ("NumberSlider", {"input_id": "0.7"}, 0.7),
        ("NumberSlider", {"input_id": "strength", "default_value": 0.25}, 0.25),
        ("NumberSlider", {"input_id": "7", "max_value": 9.0}, 7.0),
        ("NumberSliderInt", {"input_id": "2.5"}, 2),
        ("NumberSliderInt", {"input_id": "3.5"}, 4),
        ("NumberSliderInt", {"input_id": "steps", "default_value": 5}, 5),
        ("Seed", {"input_id": "x", "default_value": 5, "min_value": 1, "max_value": 10}, 5),
        ("Seed", {"input_id": "x", "default_value": 5, "min_value": 10, "max_value": 1}, 5),
    ],
)
def test_values(run: RunNode, name: str, inputs: dict[str, Any], value: Any) -> None:
    (got,) = run(f"{EXTERNAL}{name}", **inputs)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "inputs", "words"),
    [
        ("NumberInt", {"input_id": "3.7"}, "3.7 is not a whole number"),
        ("Number", {"input_id": "1e999"}, "too large"),
        ("Number", {"input_id": "nan", "default_value": 2}, "nan is not a finite number"),
        ("NumberInt", {"input_id": "-Infinity", "default_value": 2}, "-Infinity is not a finite number"),
        ("NumberSliderInt", {"input_id": "inf", "default_value": 2}, "inf is not a finite number"),
        ("NumberInt", {"input_id": "9" * 6000, "default_value": 2}, "has 6000 characters; at most 64"),
        ("NumberSlider", {"input_id": "7"}, "7 is out of range: at least 0.0, at most 1.0"),
        ("NumberSliderInt", {"input_id": "-1"}, "out of range"),
        ("NumberSlider", {"input_id": "0.5", "min_value": 1.0, "max_value": 0.0}, "swap them"),
    ],
)
def test_a_number_that_cannot_be_taken_is_an_error(run: RunNode, name: str, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(f"{EXTERNAL}{name}", **inputs)


def test_an_open_seed_is_in_its_range_and_never_cached(run: RunNode, pack: ModuleType) -> None:
    inputs = {"input_id": "x", "default_value": -1, "min_value": 3, "max_value": 5}
    assert {run(f"{EXTERNAL}Seed", **inputs)[0] for _ in range(60)} == {3, 4, 5}
    changed = pack.NODE_CLASS_MAPPINGS[f"{EXTERNAL}Seed"].IS_CHANGED
    assert math.isnan(changed(**inputs))
    assert math.isnan(changed(**{**inputs, "default_value": None}))
    assert changed(**{**inputs, "default_value": 4}) == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Text", ""),
        ("TextAny", "ddim"),
        ("Number", -2.5),
        ("Number", 1e-7),
        ("NumberInt", -5),
        ("NumberInt", 0),
        ("NumberSlider", 0.0),
        ("NumberSliderInt", 10),
        ("Boolean", False),
        ("Seed", 12),
        ("Color", "#123456"),
    ],
)
def test_a_bound_value_comes_out_of_the_node(run: RunNode, name: str, value: Any) -> None:
    saved = {"input_id": "x", "min_value": 0 if name != "Seed" else 1, "max_value": 20, "default_value": 1}
    graph = parse_graph({"1": {"class_type": f"{EXTERNAL}{name}", "inputs": saved}})
    bound = bind(graph, declare(graph), {"x": value})
    assert run(f"{EXTERNAL}{name}", **bound.graph.nodes["1"].inputs) == (value,)
