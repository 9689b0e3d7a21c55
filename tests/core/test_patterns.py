"""Patterns of URLs: what they name, and that no pattern costs more than another."""

import re
from itertools import product

import pytest

from comfyserve.core.credentials import BearerAuth, Credential, auth_for, read_credentials
from comfyserve.core.errors import InvalidInput
from comfyserve.core.limits import MAX_URL
from comfyserve.core.patterns import MAX_WILDCARDS, fits

CASES = {
    ("https://a/*", "https://a/x"): True,
    ("https://a/*", "https://a/"): True,
    ("https://a/*", "https://a/x/y"): False,
    ("https://a/**", "https://a/x/y"): True,
    ("https://*.s3.amazonaws.com/**", "https://b.s3.amazonaws.com/k/m"): True,
    ("https://*.s3.amazonaws.com/**", "https://evil/b.s3.amazonaws.com/k"): False,
    ("s3://b/*", "s3://b/k"): True,
    ("https://a/?", "https://a//"): True,
    ("https://a/?", "https://a/"): False,
    ("https://A/x", "https://a/x"): False,
    ("https://a/x.y", "https://a/xzy"): False,
    ("https://a/x", "https://a/x1"): False,
    ("**", "anything/at\nall"): True,
    ("***", "a/b"): True,
    ("", ""): True,
}


@pytest.mark.parametrize(("pattern", "url"), CASES)
def test_what_a_pattern_names(pattern: str, url: str) -> None:
    assert fits(pattern, url) is CASES[pattern, url]


def test_it_agrees_with_the_plain_reading_of_stars() -> None:
    """Every short pattern over every short text, beside the regular expression that says the same."""
    said = {"**": ".*", "*": "[^/]*", "?": "."}
    texts = ["".join(signs) for length in range(5) for signs in product("a/", repeat=length)]
    for length in range(5):
        for parts in product(["a", "/", "*", "?"], repeat=length):
            pattern = "".join(parts)
            found = re.findall(r"\*\*+|.", pattern)
            plain = re.compile("".join(said.get("**" if len(one) > 1 else one, one) for one in found))
            assert [fits(pattern, text) for text in texts] == [bool(plain.fullmatch(text)) for text in texts], pattern


@pytest.mark.parametrize(
    "pattern", ["*a" * 20 + "b", "**a" * 20 + "b", "*?" * 20 + "b", "**" + "?" * 4000 + "b"], ids=lambda text: text[:6]
)
def test_no_pattern_takes_more_than_a_step_for_each_character(pattern: str) -> None:
    """With a regular expression the first one alone would outlast the machine."""
    assert not fits(f"https://x/{pattern}", "https://x/" + "a" * (MAX_URL - 10))
    assert fits(f"https://x/{pattern}", "https://x/" + "a" * (MAX_URL - 11) + "b")


def test_a_caller_s_pattern_has_few_wildcards() -> None:
    def given(pattern: str) -> object:
        return [{"url_pattern": pattern, "auth": {"type": "bearer", "token": "t"}}]

    assert read_credentials(given("https://x/" + "*a" * MAX_WILDCARDS))
    with pytest.raises(InvalidInput, match="wildcards") as caught:
        read_credentials(given("https://x/" + "*a" * (MAX_WILDCARDS + 1)))
    assert caught.value.place.field == "credentials[0].url_pattern"


def test_what_brings_its_bytes_is_opened_by_nothing() -> None:
    every = [Credential("**", BearerAuth("t"))]
    assert auth_for("https://h/x", every) == BearerAuth("t")
    assert auth_for("data:,x", every) is auth_for("DATA:image/png;base64,AAAA", every) is None
    assert auth_for("https://h/" + "a" * MAX_URL, every) is None
