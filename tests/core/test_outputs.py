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
    [None, [], "text", {"images": "a.png"}, {"images": None}, {"images": [None, [], {}, {"filename": 3}]}],
)
def test_junk_is_skipped(ui: Any) -> None:
    assert list(read_outputs({"1": ui})) == []


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_whatever_an_engine_says_is_read(history: dict[str, Any]) -> None:
    for output in read_outputs(history):
        assert (output.file is None) != (output.value is None)
        assert output.file is None or output.file.filename
