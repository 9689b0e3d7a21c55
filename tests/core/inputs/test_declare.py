"""Which inputs a graph declares, in which order, with what defaults and bounds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyserve.core.graph import parse_graph
from comfyserve.core.inputs import EXTERNALS, Group, Input, Kind, declare

from .graphs import graph, node

KINDS = {
    "Text": Kind.TEXT,
    "TextAny": Kind.TEXT,
    "TextSingleLine": Kind.TEXT,
    "Image": Kind.IMAGE,
    "ImageAlpha": Kind.IMAGE,
    "ImageBatch": Kind.IMAGES,
    "Number": Kind.NUMBER,
    "NumberInt": Kind.INTEGER,
    "NumberSlider": Kind.NUMBER,
    "NumberSliderInt": Kind.INTEGER,
    "Boolean": Kind.BOOLEAN,
    "Enum": Kind.CHOICE,
    "Color": Kind.COLOR,
    "Seed": Kind.SEED,
    "Lora": Kind.MODEL,
    "Checkpoint": Kind.MODEL,
    "FaceModel": Kind.MODEL,
    "Video": Kind.VIDEO,
    "Vid": Kind.VIDEO,
    "Audio": Kind.AUDIO,
    "EXR": Kind.FILE,
    "File": Kind.FILE,
}

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('aZ1[{"', max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)


def _one(name: str, **inputs: Any) -> Input:
    (one,) = declare(graph(node(name, **inputs)))
    return one


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_every_external_class_declares_its_kind(name: str, kind: Kind) -> None:
    one = _one(name, input_id="prompt")
    assert (one.id, one.kind, one.node_ids, one.label) == ("prompt", kind, ("1",), "prompt")


def test_the_table_has_every_class_of_the_spec() -> None:
    named = {name.removeprefix("ComfyUIDeployExternal") for name in EXTERNALS}
    assert named == {*KINDS, "ComfyDeployWebscoketImageInput"}


@pytest.mark.parametrize(
    ("name", "inputs", "default"),
    [
        ("Text", {"default_value": "a cap"}, "a cap"),
        ("Text", {}, None),
        ("Text", {"default_value": ["9", 0]}, None),
        ("Number", {"default_value": 0.5}, 0.5),
        ("Number", {"default_value": "0.5"}, 0.5),
        ("Number", {"default_value": "words"}, None),
        ("NumberInt", {"default_value": 768}, 768),
        ("Boolean", {"default_value": True}, True),
        ("Enum", {"default_value": "b", "options": '["a", "b"]'}, "b"),
        ("Seed", {"default_value": -1}, -1),
        ("Color", {"default_value": "#AABBCC"}, "#aabbcc"),
        ("Image", {"default_value": ["9", 0]}, None),
        ("Image", {"default_value_url": "https://example.com/a.png"}, "https://example.com/a.png"),
        ("Image", {"default_value_url": ""}, None),
        ("ImageBatch", {"images": '["https://example.com/a.png"]'}, ("https://example.com/a.png",)),
        ("ImageBatch", {"images": "[]"}, None),
        ("Lora", {"default_lora_name": "x.safetensors"}, "x.safetensors"),
        ("Audio", {"audio_file": "a.wav"}, "a.wav"),
    ],
)
def test_saved_defaults(name: str, inputs: dict[str, Any], default: Any) -> None:
    nine = {"class_type": "LoadImage", "inputs": {"image": "a.png"}}
    assert declare(graph(node(name, **inputs), n9=nine))[0].default == default


@pytest.mark.parametrize(
    ("name", "inputs", "bounds"),
    [
        ("Number", {}, (None, None, 0.01)),
        ("NumberInt", {}, (None, None, 1)),
        ("NumberSlider", {"min_value": -2, "max_value": 2.5}, (-2, 2.5, 0.01)),
        ("NumberSlider", {}, (0, 1, 0.01)),
        ("NumberSlider", {"min_value": ["9", 0]}, (None, 1, 0.01)),
        ("NumberSliderInt", {"min_value": 1, "max_value": 8}, (1, 8, 1)),
        ("Seed", {"min_value": 1, "max_value": 100}, (1, 100, 1)),
        ("Seed", {"min_value": 100, "max_value": 0}, (1, 100, 1)),
        ("Text", {}, (None, None, None)),
    ],
)
def test_bounds_and_steps(name: str, inputs: dict[str, Any], bounds: tuple[Any, Any, Any]) -> None:
    nine = {"class_type": "PrimitiveFloat", "inputs": {"value": 1.0}}
    one = declare(graph(node(name, **inputs), n9=nine))[0]
    assert (one.minimum, one.maximum, one.step) == bounds


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ('["a", "b", 3]', ("a", "b", 3)),
        ("a, b", ()),
        ("", ()),
        ('{"a": 1}', ()),
        ('["a", null, ["b"]]', ("a",)),
        (None, ()),
    ],
)
def test_choices_of_an_enum(options: Any, choices: tuple[Any, ...]) -> None:
    assert _one("Enum", options=options).choices == choices


def test_words_groups_and_order() -> None:
    declared = declare(
        graph(
            node("Text", "last"),
            node("Text", "second", {"cd_input_order": 2}, display_name="Prompt", description="What to draw"),
            node("Number", "first", {"cd_input_order": "1", "cd_input_group_id": "g1", "cd_group_name": "Size"}),
            node("Text", "after"),
        )
    )
    assert [one.id for one in declared] == ["first", "second", "last", "after"]
    assert declared[0].group == Group("g1", "Size")
    assert (declared[1].label, declared[1].description) == ("Prompt", "What to draw")


def test_nodes_with_one_name_are_one_input() -> None:
    (one,) = declare(
        graph(
            node("NumberSliderInt", min_value=0, max_value=50),
            node("NumberSliderInt", min_value=10, max_value=100, default_value=20, display_name="Steps"),
        )
    )
    assert (one.node_ids, one.minimum, one.maximum, one.default, one.label) == (("1", "2"), 10, 50, 20, "Steps")


@pytest.mark.parametrize("input_id", ["", None, 7, ["2", 0]])
def test_a_node_without_a_name_declares_nothing(input_id: Any) -> None:
    two = {"class_type": "PrimitiveString", "inputs": {"value": "x"}}
    assert declare(graph(node("Text", input_id), two)) == ()


def test_only_a_multiline_text_is_shown_as_one() -> None:
    assert (_one("Text").multiline, _one("TextSingleLine").multiline, _one("Enum").multiline) == (True, False, False)


def test_the_shown_form_has_what_applies_and_no_more() -> None:
    assert _one("NumberSliderInt", input_id="steps", default_value=20, min_value=1, max_value=50).as_dict() == {
        "id": "steps",
        "kind": "integer",
        "label": "steps",
        "description": "",
        "default": 20,
        "node_ids": ["1"],
        "class_type": "ComfyUIDeployExternalNumberSliderInt",
        "minimum": 1,
        "maximum": 50,
        "step": 1,
    }


@given(
    st.sampled_from(list(EXTERNALS)),
    st.dictionaries(
        st.sampled_from(["default_value", "min_value", "max_value", "options", "images", "display_name", "input_id"]),
        junk,
    ),
    st.dictionaries(st.sampled_from(["cd_input_order", "cd_input_group_id", "cd_group_name", "title"]), junk),
)
def test_whatever_a_graph_says_is_declared_or_left_out(
    class_type: str, inputs: dict[str, Any], meta: dict[str, Any]
) -> None:
    unlinked = {key: value for key, value in inputs.items() if not (isinstance(value, list) and len(value) == 2)}
    raw = {"1": {"class_type": class_type, "inputs": {"input_id": "x", **unlinked}, "_meta": meta}}
    for one in declare(parse_graph(raw)):
        assert one.as_dict()["id"] == one.id
