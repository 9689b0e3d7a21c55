"""Values as callers send them: what is taken for what, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyserve.core.inputs.coerce import MAX_FILES, MAX_TEXT, Misfit, as_text, coerce
from comfyserve.core.inputs.externals import Kind

URL = "https://example.com/a.png"
DATA = "data:image/png;base64,AAAA"
HUGE = 10**400

GOOD = [
    (Kind.TEXT, "", ""),
    (Kind.TEXT, " kept ", " kept "),
    (Kind.TEXT, 12, "12"),
    (Kind.TEXT, 1.5, "1.5"),
    (Kind.NUMBER, 768, 768),
    (Kind.NUMBER, "0.25", 0.25),
    (Kind.NUMBER, "1e3", 1000.0),
    (Kind.NUMBER, " -5 ", -5),
    (Kind.INTEGER, 768, 768),
    (Kind.INTEGER, 768.0, 768),
    (Kind.INTEGER, "768", 768),
    (Kind.INTEGER, "768.0", 768),
    (Kind.INTEGER, "-5", -5),
    (Kind.INTEGER, "9007199254740993", 9007199254740993),
    (Kind.SEED, "-1", -1),
    (Kind.BOOLEAN, True, True),
    (Kind.BOOLEAN, "false", False),
    (Kind.BOOLEAN, "TRUE", True),
    (Kind.BOOLEAN, 0, False),
    (Kind.BOOLEAN, "1", True),
    (Kind.COLOR, "#1E90FF", "#1e90ff"),
    (Kind.COLOR, "abc", "#abc"),
    (Kind.CHOICE, "euler", "euler"),
    (Kind.CHOICE, 3, 3),
    (Kind.CHOICE, True, True),
    (Kind.IMAGE, URL, URL),
    (Kind.IMAGE, f" {URL} ", URL),
    (Kind.IMAGE, DATA, DATA),
    (Kind.IMAGE, "asset:abc", "asset:abc"),
    (Kind.IMAGE, "0190c1f2-aaaa-7bbb-8ccc-000000000001", "asset:0190c1f2-aaaa-7bbb-8ccc-000000000001"),
    (Kind.IMAGES, [URL, DATA], (URL, DATA)),
    (Kind.IMAGES, f'["{URL}"]', (URL,)),
    (Kind.IMAGES, URL, (URL,)),
    (Kind.IMAGES, [], ()),
    (Kind.MODEL, "sub/x.safetensors", "sub/x.safetensors"),
    (Kind.MODEL, URL, URL),
]

BAD = [
    (Kind.TEXT, True),
    (Kind.TEXT, None),
    (Kind.TEXT, ["a"]),
    (Kind.TEXT, {"a": 1}),
    (Kind.TEXT, "a\0b"),
    (Kind.TEXT, "\ud83d"),
    (Kind.TEXT, "x" * (MAX_TEXT + 1)),
    (Kind.NUMBER, True),
    (Kind.NUMBER, "1_000"),
    (Kind.NUMBER, "ten"),
    (Kind.NUMBER, "nan"),
    (Kind.NUMBER, "1e999"),
    (Kind.NUMBER, "9" * 65),
    (Kind.NUMBER, float("nan")),
    (Kind.NUMBER, float("-inf")),
    (Kind.NUMBER, HUGE),
    (Kind.NUMBER, [1]),
    (Kind.INTEGER, 768.5),
    (Kind.INTEGER, "768.5"),
    (Kind.INTEGER, float("inf")),
    (Kind.INTEGER, 1e300),
    (Kind.BOOLEAN, "yes"),
    (Kind.BOOLEAN, 2),
    (Kind.BOOLEAN, 1.0),
    (Kind.BOOLEAN, None),
    (Kind.COLOR, "red"),
    (Kind.COLOR, "#12345"),
    (Kind.COLOR, 255),
    (Kind.CHOICE, ["a"]),
    (Kind.IMAGE, "logo.png"),
    (Kind.IMAGE, "../logo.png"),
    (Kind.IMAGE, "/etc/passwd"),
    (Kind.IMAGE, "file:///etc/passwd"),
    (Kind.IMAGE, "data:image/png"),
    (Kind.IMAGE, "https://example.com/" + "x" * 9000),
    (Kind.IMAGE, 7),
    (Kind.IMAGES, [URL, "logo.png"]),
    (Kind.IMAGES, "[broken"),
    (Kind.IMAGES, "[" * 100_000),
    (Kind.IMAGES, {"a": URL}),
    (Kind.IMAGES, [URL] * (MAX_FILES + 1)),
    (Kind.MODEL, "../x.safetensors"),
    (Kind.MODEL, "a\\..\\x"),
    (Kind.MODEL, "/models/x"),
    (Kind.MODEL, DATA),
    (Kind.MODEL, " "),
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


@pytest.mark.parametrize(("kind", "value", "wanted"), GOOD)
def test_taken(kind: Kind, value: Any, wanted: Any) -> None:
    taken = coerce(kind, value)
    assert (taken, type(taken)) == (wanted, type(wanted))


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_refused_in_a_short_sentence(kind: Kind, value: Any) -> None:
    with pytest.raises(Misfit) as caught:
        coerce(kind, value)
    assert 0 < len(str(caught.value)) < 300


@given(st.sampled_from(list(Kind)), anything)
def test_a_value_is_taken_or_refused_and_taken_again_unchanged(kind: Kind, value: Any) -> None:
    try:
        taken = coerce(kind, value)
    except Misfit:
        return
    assert coerce(kind, taken) == taken


@given(st.integers(-(2**63), 2**63))
def test_whole_numbers_survive_as_text(value: int) -> None:
    assert coerce(Kind.INTEGER, as_text(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_as_text(value: float) -> None:
    assert coerce(Kind.NUMBER, as_text(value)) == value


def test_a_list_becomes_json_and_so_no_link() -> None:
    assert as_text((URL, DATA)) == f'["{URL}", "{DATA}"]'
