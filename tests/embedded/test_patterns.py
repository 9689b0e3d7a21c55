"""Patterns find what Python's re finds, within a time limit."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyserve.embedded import patterns
from comfyserve.embedded.patterns import TimeLimitedPattern

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
    assert ours.findall(text) == python.findall(text)
    assert ours.sub(r"<\g<0>>", text, 2) == python.sub(r"<\g<0>>", text, 2)


@pytest.mark.parametrize("replacement", [r"\9", r"\g<none>", r"\q"])
def test_a_bad_replacement_is_an_error_of_re(replacement: str) -> None:
    with pytest.raises((re.error, IndexError)):
        TimeLimitedPattern("a", re.NOFLAG).sub(replacement, "a")


@pytest.mark.parametrize("method", ["search", "findall", "finditer"])
def test_a_pattern_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.05)
    with pytest.raises(TimeoutError, match="took longer than"):
        getattr(TimeLimitedPattern(r"(a|aa)+$", re.NOFLAG), method)("a" * 100 + "b")
