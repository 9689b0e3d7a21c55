"""Fresh seeds before a run: which are replaced, by what, and which stay."""

import random
from typing import Any

import pytest

from comfyserve.core.inputs import randomise_seeds

from .graphs import graph, node

LOWEST, HIGHEST = (lambda low, high: low), (lambda low, high: high)


def _seeds(class_type: str, editor: Any = None, draw: Any = LOWEST, catalogue: Any = None, **inputs: Any) -> Any:
    one = randomise_seeds(graph({"class_type": class_type, "inputs": inputs}), editor, draw, catalogue)
    return dict(one.nodes["1"].inputs)


def test_a_literal_seed_is_replaced_by_fifteen_digits() -> None:
    assert _seeds("KSampler", seed=5) == {"seed": 10**14}
    assert _seeds("AnyNode", draw=HIGHEST, seed=5) == {"seed": 10**15 - 1}


@pytest.mark.parametrize(
    ("class_type", "low", "high"), [("SONICSampler", 0, 2**31 - 1), ("PromptExpansion", 10**7, 10**8 - 1)]
)
def test_some_classes_have_a_range_of_their_own(class_type: str, low: int, high: int) -> None:
    assert _seeds(class_type, seed=5) == {"seed": low}
    assert _seeds(class_type, draw=HIGHEST, seed=5) == {"seed": high}


@pytest.mark.parametrize(
    ("class_type", "replaced"),
    [
        ("RandomNoise", True),
        ("KSamplerAdvanced", True),
        ("SamplerCustom", True),
        ("XlabsSampler", True),
        ("Other", False),
    ],
)
def test_noise_seeds_of_known_samplers_only(class_type: str, replaced: bool) -> None:
    assert (_seeds(class_type, noise_seed=5)["noise_seed"] != 5) is replaced


@pytest.mark.parametrize("seed", ["5", None, True, {"a": 1}])
def test_what_is_no_number_stays(seed: Any) -> None:
    assert _seeds("KSampler", seed=seed) == {"seed": seed}


def test_a_linked_seed_stays() -> None:
    one = graph({"class_type": "KSampler", "inputs": {"seed": ["2", 0]}}, node("Seed"))
    assert randomise_seeds(one, None, LOWEST) == one


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ({"id": 1, "type": "KSampler", "widgets_values": [5, "fixed", 20]}, True),
        ({"id": "1", "type": "KSampler", "widgets_values": [5, "fixed"]}, True),
        ({"id": 1, "type": "KSampler", "widgets_values": [5, "randomize", 20]}, False),
        ({"id": 2, "type": "KSampler", "widgets_values": [5, "fixed", 20]}, False),
        ({"id": 1, "type": "Other", "widgets_values": [5, "fixed"]}, False),
        ({"id": 1, "type": "KSampler", "widgets_values": {"seed": 5}}, False),
        ({"id": 1, "type": "KSampler"}, False),
        ("junk", False),
    ],
)
def test_a_sampler_that_the_editor_fixed_keeps_its_seed(entry: Any, kept: bool) -> None:
    assert (_seeds("KSampler", {"nodes": [entry]}, seed=5)["seed"] == 5) is kept


@pytest.mark.parametrize("editor", [None, {}, {"nodes": None}, [], "junk"])
def test_without_an_editor_form_all_are_fresh(editor: Any) -> None:
    assert _seeds("KSampler", editor, seed=5)["seed"] == 10**14


@pytest.mark.parametrize("ceiling", [0, 100, 2**31 - 1, 10**14 + 5])
def test_no_seed_is_above_what_its_node_takes(ceiling: int) -> None:
    catalogue = {"Small": {"input": {"required": {"seed": ["INT", {"min": 0, "max": ceiling}]}}}}
    for chance in range(20):
        assert 0 <= _seeds("Small", draw=random.Random(chance).randint, catalogue=catalogue, seed=5)["seed"] <= ceiling
