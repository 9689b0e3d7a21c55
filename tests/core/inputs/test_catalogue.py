"""Reading `/object_info`: both forms of a choice, and which classes an engine lacks."""

from typing import Any

import pytest

from comfyserve.core.errors import InvalidGraph
from comfyserve.core.inputs import FieldSpec, check_classes, field_spec

from .graphs import graph, node


@pytest.mark.parametrize(
    ("entry", "choices"),
    [
        ([["a", "b"], {}], ("a", "b")),
        ([["a", "b"]], ("a", "b")),
        (["COMBO", {"options": ["a"]}], ("a",)),
        (["COMBO", {"options": ["a"], "multiselect": True}], None),
        (["COMBO", {"remote": {"route": "/x"}}], None),
        ([["a.png"], {"image_upload": True}], None),
        (["COMBO", {"options": [], "video_upload": True}], None),
        ([[], {}], ()),
        (["STRING", {"multiline": True}], None),
    ],
)
@pytest.mark.parametrize("category", ["required", "optional"])
def test_choices(entry: list[Any], choices: tuple[Any, ...] | None, category: str) -> None:
    spec = field_spec({"A": {"input": {category: {"x": entry}}}}, "A", "x")
    assert spec is not None
    assert spec.choices == choices


@pytest.mark.parametrize(
    "catalogue",
    [
        None,
        {},
        {"A": None},
        {"A": {"input": []}},
        {"A": {"input": {"required": {"y": ["INT"]}}}},
        {"A": {"input": {"hidden": {"x": "PROMPT"}}}},
        {"A": {"input": {"required": {"x": "INT"}}}},
        {"A": {"input": {"required": {"x": []}}}},
    ],
)
def test_what_the_catalogue_does_not_know(catalogue: Any) -> None:
    assert field_spec(catalogue, "A", "x") is None


def test_options_come_along() -> None:
    catalogue = {"A": {"input": {"required": {"x": ["INT", {"min": 1}]}}}}
    assert field_spec(catalogue, "A", "x") == FieldSpec("INT", None, {"min": 1})


def test_unknown_classes_are_named_with_their_nodes() -> None:
    one = graph({"class_type": "Known"}, {"class_type": "Strange"}, node("Text"), {"class_type": "Strange"})
    with pytest.raises(InvalidGraph) as caught:
        check_classes(one, {"Known": {}})
    assert caught.value.details == {"unknown_classes": {"Strange": ["2", "4"], "ComfyUIDeployExternalText": ["3"]}}
    assert "Strange (node 2, 4); ComfyUIDeployExternalText (node 3)" in caught.value.message
    assert caught.value.place.as_dict() == {"node_id": "2", "field": "class_type"}


def test_known_classes_pass() -> None:
    check_classes(graph({"class_type": "Known"}), {"Known": {}})
