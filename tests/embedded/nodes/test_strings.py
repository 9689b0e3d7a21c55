import re

import numpy as np
import pytest

from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS, strings
from comfyserve.embedded.nodes.primitives import preview_any

FLAGS = {"case_insensitive": True, "multiline": False, "dotall": False}


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("as it is", "as it is"),
        (12, "12"),
        (1.5, "1.5"),
        (True, "True"),
        (None, "None"),
        ({"a": [1, "é"]}, '{"a": [1, "\\u00e9"]}'),
        (np.zeros(2, np.float32), "[0. 0.]"),
    ],
)
def test_anything_is_shown_as_text(source: object, shown: str) -> None:
    assert preview_any(source) == {"text": [shown]}


@pytest.mark.parametrize("name", ["String", "StringMultiline", "Int", "Float", "Boolean"])
def test_a_primitive_gives_its_value(name: str) -> None:
    marker = object()
    assert NODE_CLASS_MAPPINGS[f"Primitive{name}"].run(value=marker) == (marker,)


def test_an_unknown_mode_leaves_text_alone_but_not_a_comparison() -> None:
    assert strings.convert_case("aB", "zzz") == strings.trim("aB", "zzz") == "aB"
    with pytest.raises(ValueError, match="Starts With"):
        strings.compare("a", "b", "zzz", True)


def test_a_bad_pattern_matches_nothing_but_cannot_replace() -> None:
    assert strings.regex_match("a", "(", **FLAGS) is False
    assert strings.regex_extract("a", "(", "First Match", group_index=1, **FLAGS) == ""
    with pytest.raises(re.error):
        strings.regex_replace("a", "(", "b")


@pytest.mark.parametrize(
    ("mode", "group", "found"),
    [
        ("First Match", 1, "a1"),
        ("All Matches", 1, "a\nb"),
        ("First Group", 2, "1"),
        ("First Group", 3, ""),
        ("All Groups", 2, "1\n2"),
        ("All Groups", 0, "a1\nb2"),
        ("zzz", 1, ""),
    ],
)
def test_extracting(mode: str, group: int, found: str) -> None:
    assert strings.regex_extract("a1 b2", r"([ab])(\d)", mode, group_index=group, **FLAGS) == found


def test_nothing_found_is_an_empty_text() -> None:
    for mode in strings.EXTRACTS:
        assert strings.regex_extract("xyz", r"(\d)", mode, group_index=1, **FLAGS) == ""


def test_replacing_counts_and_knows_groups() -> None:
    assert strings.regex_replace("1 2 3", r"(\d)", r"<\1>", count=2) == "<1> <2> 3"
    assert strings.regex_replace("aA", "a", "b", case_insensitive=False) == "bA"


@pytest.mark.parametrize(("flag", "pattern"), [("case_insensitive", "B"), ("multiline", "^b"), ("dotall", "a.b")])
def test_each_flag_counts(flag: str, pattern: str) -> None:
    off = dict.fromkeys(FLAGS, False)
    assert not strings.regex_match("a\nb", pattern, **off)
    assert strings.regex_match("a\nb", pattern, **{**off, flag: True})


def test_plain_operations() -> None:
    assert strings.concatenate("a", "b", ", ") == "a, b"
    assert strings.substring("hello", -3, -1) == "ll"
    assert strings.length("né🙂") == 3
    assert strings.replace("aaa", "a", "b") == "bbb"
    assert strings.contains("Abc", "ab", False) and not strings.contains("Abc", "ab", True)
    assert strings.compare("Abc", "aBC", "Equal", False)
