"""Patterns find what Python's re finds, within a time limit."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyserve.embedded.nodes.patterns import TimeLimitedPattern

PARTS = [
    *("a", "b", ".", r"\w", r"\d", r"\s", r"\b", "^", "$", "(a|b)", "(?:ab)", "[ab]", "[^a]", "[a&&b]", "[||]"),
    *("*", "+", "?", "{2}", "{1,2}", "{,1}", "{e}", "{", "}", "*?", "++", "[[:alpha:]]", "[:a]", r"\{e}", r"\\{a}"),
    *("(?=a)", "(?<!b)", "(?P<n>b)", r"\1", "|", "-", "\n", "ä", "ß"),
]
PATTERNS = st.lists(st.sampled_from(PARTS), max_size=6).map("".join)
TEXTS = st.text("ab1 -{e}:[]\näÄß&|", max_size=12)
FLAGS = st.sampled_from([re.NOFLAG, re.IGNORECASE, re.MULTILINE, re.DOTALL])


@pytest.mark.filterwarnings("ignore:Possible")
@settings(deadline=None)
@given(PATTERNS, TEXTS, FLAGS)
def test_they_find_what_python_finds(source: str, text: str, flags: re.RegexFlag) -> None:
    try:
        python = re.compile(source, flags)
    except re.error:
        with pytest.raises(re.error):
            TimeLimitedPattern(source, flags)
        return
    ours = TimeLimitedPattern(source, flags)

    def spans(pattern: Any) -> list[tuple[int, int]]:
        return [match.span() for match in pattern.finditer(text)]

    assert spans(ours) == spans(python)
    assert ours.sub(r"<\g<0>>", text, 2) == python.sub(r"<\g<0>>", text, 2)
    assert ours.sub("!", text) == python.sub("!", text)


@pytest.mark.parametrize("replacement", [r"\9", r"\g<none>", r"\q"])
def test_a_bad_replacement_is_an_error_of_re(replacement: str) -> None:
    with pytest.raises((re.error, IndexError)):
        TimeLimitedPattern("a", re.NOFLAG).sub(replacement, "a")


def _replaced(pattern: TimeLimitedPattern, text: str) -> str:
    return pattern.sub("", text)


@pytest.mark.parametrize(
    "search",
    [lambda pattern, text: pattern.search(text), lambda pattern, text: [*pattern.finditer(text)], _replaced],
    ids=["search", "finditer", "sub"],
)
def test_a_pattern_that_never_ends_is_stopped(search: Callable[[TimeLimitedPattern, str], object]) -> None:
    with pytest.raises(TimeoutError, match=r"took longer than 0\.05 seconds"):
        search(TimeLimitedPattern(r"(a|aa)+$", re.NOFLAG, seconds=0.05), "a" * 100 + "b")


@pytest.mark.parametrize(
    "source",
    [
        "((a{300}){300}){300}",
        "(?:(?:a{99}|b){99}+){99}",
        "(?:(?>ab){400}?c){400,}",
        "(?=(?:a(?!b{2000})){2000})",
        "(a)?(?(1)(?:b{2000}c){2000}|d)",
        "(?:(?:){1000}){1000}",
        "x" * 100_001,
    ],
)
def test_a_pattern_too_large_to_compile_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"at most 100000|more than 100000"):
        TimeLimitedPattern(source, re.NOFLAG)


@pytest.mark.parametrize(
    ("source", "found"), [("a{9999}", True), ("(?:ab{100}){900}", False), ("(?:a{0,999}){0,999}b{,9999}", True)]
)
def test_long_repetitions_within_the_bound_are_searched(source: str, found: bool) -> None:
    assert (TimeLimitedPattern(source, re.NOFLAG).search("a" * 10_000) is not None) is found


def test_a_replacement_is_told_how_long_the_result_gets() -> None:
    lengths: list[int] = []
    result = TimeLimitedPattern("b+", re.NOFLAG).sub(r"<\g<0>>", "abba b", check=lengths.append)
    assert (result, lengths) == ("a<bb>a <b>", [8, 10])
