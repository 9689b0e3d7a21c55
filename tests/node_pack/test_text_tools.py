"""Patterns and texts that ask for too much: an error, and the engine goes on."""

import threading

import pytest

from .conftest import RunNode

REPLACE = {"action": "replace", "tidy_tags": "no"}


def test_a_pattern_without_end_is_an_error_and_others_run_on(run: RunNode) -> None:
    reasons: list[str] = []

    def search() -> None:
        with pytest.raises(ValueError, match="took longer than") as refused:
            run("ComfyUIDeployStringCombine", **REPLACE, text_a="a" * 40 + "!", text_b="/(a+)+$/", text_c="x")
        reasons.append(str(refused.value))

    searching = threading.Thread(target=search, daemon=True)
    searching.start()
    searching.join(timeout=60)
    assert reasons


@pytest.mark.parametrize("other", [r"\9", "\\", r"\g<no>"])
def test_a_bad_replacement_is_an_error(run: RunNode, other: str) -> None:
    with pytest.raises(ValueError, match="not a valid pattern"):
        run("StringFunction", **REPLACE, text_a="a", text_b="/(a)/", text_c=other)


def test_a_pattern_knows_groups_and_strange_letters(run: RunNode) -> None:
    answer = run("StringFunction", **REPLACE, text_a="ä1 \ud800", text_b=r"/(\w)(\d)/", text_c=r"\2\1")
    assert answer["result"] == ("1ä \ud800",)


def test_a_result_is_bounded(run: RunNode) -> None:
    text = "a" * 100_000
    for inputs in (
        {"action": "replace", "text_a": text, "text_b": "a", "text_c": text},
        {"action": "replace", "text_a": text, "text_b": "/a/", "text_c": text},
        {"action": "append", "text_a": text * 50, "text_b": text * 51},
    ):
        with pytest.raises(ValueError, match="longer than 10000000 characters"):
            run("StringFunction", tidy_tags="no", **inputs)
