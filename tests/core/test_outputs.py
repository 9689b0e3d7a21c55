"""Outputs: every file and value of a history record, whatever its key, and nothing of the junk beside them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyserve.core.outputs import EngineFile, NodeOutput, read_outputs

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def test_files_of_any_key_come_in_order() -> None:
    ui = {
        "9": {
            "images": [
                {"filename": "a_00001_.png", "subfolder": "", "type": "output"},
                {"filename": "a_00002_.png", "subfolder": "x", "type": "temp"},
            ],
            "animated": [True],
        },
        "12": {"gifs": [{"filename": "b.mp4"}], "text": ["hello"]},
    }
    assert list(read_outputs(ui)) == [
        NodeOutput("9", "images", 0, file=EngineFile("a_00001_.png", "", "output")),
        NodeOutput("9", "images", 1, file=EngineFile("a_00002_.png", "x", "temp")),
        NodeOutput("12", "gifs", 0, file=EngineFile("b.mp4", "", "output")),
        NodeOutput("12", "text", 0, value="hello"),
    ]


@pytest.mark.parametrize("value", ["text", "", 0, 1.5, True, False])
def test_plain_values_are_outputs(value: Any) -> None:
    assert [output.value for output in read_outputs({"1": {"text": (value,)}})] == [value]


@pytest.mark.parametrize(
    "ui",
    [
        None,
        [],
        "text",
        {"images": None, "flag": True, "number": 3},
        {"images": [None, [], {}, {"filename": 3}, {"filename": "a.png", "subfolder": ["x"]}]},
        {"images": {"filename": "a" * 5000}},
        {"deep": [[[[["text"]]]]]},
    ],
)
def test_junk_is_skipped(ui: Any) -> None:
    assert list(read_outputs({"1": ui})) == []


def test_what_is_published_without_a_list_or_in_two_is_read() -> None:
    ui = {"1": {"video": {"filename": "a.mp4"}, "text": "hello", "images": [[{"filename": "a.png"}], None, ["b"]]}}
    assert list(read_outputs(ui)) == [
        NodeOutput("1", "video", 0, file=EngineFile("a.mp4")),
        NodeOutput("1", "text", 0, value="hello"),
        NodeOutput("1", "images", 0, file=EngineFile("a.png")),
        NodeOutput("1", "images", 2, value="b"),
    ]


def test_numbers_that_json_does_not_have_become_texts() -> None:
    ui = {"1": {"numbers": [float("nan"), float("-inf"), 2.5]}}
    assert [output.value for output in read_outputs(ui)] == ["nan", "-inf", 2.5]


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_whatever_an_engine_says_is_read(history: dict[str, Any]) -> None:
    for output in read_outputs(history):
        assert (output.file is None) != (output.value is None)
        assert output.file is None or output.file.filename
