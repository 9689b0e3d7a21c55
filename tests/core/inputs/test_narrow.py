"""What a deployment makes of the inputs, and what it may not."""

from typing import Any

import pytest

from comfyserve.core.errors import InvalidInput
from comfyserve.core.inputs import Kind, Narrowing, declare, narrow

from .graphs import graph, node

GRAPH = graph(
    node("NumberInt", "size", default_value=768),
    node("Text", "prompt", default_value="a cap"),
    node("Enum", "style", default_value="a", options='["a", "b"]'),
    node("Image", "logo"),
    node("NumberSlider", "strength", default_value=0.5, min_value=0, max_value=1),
    n7={"class_type": "KSampler", "inputs": {"steps": 20, "model": ["1", 0], "sampler_name": "euler"}},
)
INPUTS = declare(GRAPH)


def _narrowed(input_id: str, **narrowing: Any) -> Any:
    return {one.id: one for one in narrow(INPUTS, {input_id: Narrowing(**narrowing)}, graph=GRAPH)}[input_id]


def _refusal(input_id: str, **narrowing: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        _narrowed(input_id, **narrowing)
    return caught.value


def test_allowed_numbers_are_choices_and_stay_numbers() -> None:
    one = _narrowed("size", allowed=(512, "768", 1024.0, 512), default="1024", label=" Size ")
    assert (one.kind, one.choices, one.default, one.label) == (Kind.INTEGER, (512, 768, 1024), 1024, "Size")
    assert all(type(choice) is int for choice in one.choices)
    assert one.from_deployment


def test_a_default_of_the_deployment_need_not_restrict() -> None:
    one = _narrowed("prompt", default="a mug")
    assert (one.default, one.choices, one.from_deployment) == ("a mug", (), True)


def test_without_a_default_the_workflows_own_stays() -> None:
    one = _narrowed("size", allowed=(512, 768))
    assert (one.default, one.from_deployment) == (768, False)


def test_an_image_may_have_a_default() -> None:
    assert _narrowed("logo", default="https://example.com/a.png").default == "https://example.com/a.png"


def test_order_and_the_other_inputs_stay() -> None:
    narrowed = narrow(INPUTS, {"strength": Narrowing(label="How much")})
    assert [one.id for one in narrowed] == [one.id for one in INPUTS]
    assert narrowed[:-1] == INPUTS[:-1]


def test_a_plain_field_can_be_listed() -> None:
    one = narrow(INPUTS, {"7.steps": Narrowing(allowed=(10, 20), label="Steps")}, graph=GRAPH)[-1]
    assert (one.id, one.kind, one.choices, one.default, one.label) == ("7.steps", Kind.NUMBER, (10, 20), 20, "Steps")


@pytest.mark.parametrize(
    ("input_id", "narrowing", "words"),
    [
        ("size", {"allowed": (512, 1024)}, "768"),
        ("size", {"allowed": (512, 1024), "default": 768}, "Allowed: 512, 1024"),
        ("size", {"allowed": ("big",)}, "whole number"),
        ("size", {"allowed": ()}, "1 to 1000"),
        ("size", {"default": "big"}, "whole number"),
        ("size", {"label": "  "}, "label"),
        ("style", {"allowed": ("a", "c")}, "Allowed: a, b"),
        ("strength", {"allowed": (0.5, 2)}, "Allowed: 0 to 1"),
        ("strength", {"default": 1.5}, "Allowed: 0 to 1"),
        ("logo", {"allowed": ("https://example.com/a.png",)}, "cannot be narrowed"),
        ("logo", {"default": "a.png"}, "asset"),
    ],
)
def test_what_does_not_fit_is_refused(input_id: str, narrowing: dict[str, Any], words: str) -> None:
    error = _refusal(input_id, **narrowing)
    assert error.place.field == input_id
    assert words in error.message


@pytest.mark.parametrize("input_id", ["siz", "7.nothing", "7.model", "99.steps", "1.input_id"])
def test_an_unknown_input_is_refused_with_the_known_ones(input_id: str) -> None:
    error = _refusal(input_id, label="x")
    assert error.details == {"known_inputs": ["size", "prompt", "style", "logo", "strength"]}


def test_json_there_and_back() -> None:
    raw = {"allowed": [512, 768], "default": 768, "label": "Size"}
    assert Narrowing.read("size", raw).as_dict() == raw
    assert Narrowing.read("size", {}).as_dict() == {}


@pytest.mark.parametrize("raw", [None, [], "x", {"allowd": []}, {"allowed": "512"}, {"label": 7}])
def test_json_of_another_shape_is_refused(raw: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Narrowing.read("size", raw)
    assert caught.value.place.field == "size"
