"""JSON as JavaScript writes it: receivers may check a signature over what they have read and written again.

Whole numbers are written with all of their digits; JavaScript itself keeps 53 bits of them, so that a receiver that
writes a larger one again has another text.
"""

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

PLAIN_DIGITS = 21
LEAST_POINT = -6
"""Between these places of the decimal point a number is written without an exponent (ECMA-262, Number::toString)."""


def json_text(value: Any) -> bytes:
    """A JSON value without blanks, letters as they are, whole numbers without a dot, keys that are whole numbers in
    ascending order before all others, and `null` for what is no number (stateless-comfyui-api.md, section 4.1)."""
    return "".join(_pieces(value)).encode(errors="replace")


def _pieces(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield encode_basestring(value)
        case None | True | False:
            yield {None: "null", True: "true", False: "false"}[value]
        case int():
            yield int.__repr__(value)
        case float():
            yield _number(value)
        case Mapping():
            yield from _object(value)
        case list() | tuple():
            yield from _array(value)
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def _object(value: Mapping[str, Any]) -> Iterator[str]:
    before = "{"
    for key in _ordered(value):
        yield f"{before}{encode_basestring(key)}:"
        yield from _pieces(value[key])
        before = ","
    yield "}" if value else "{}"


def _array(value: list[Any] | tuple[Any, ...]) -> Iterator[str]:
    before = "["
    for item in value:
        yield before
        yield from _pieces(item)
        before = ","
    yield "]" if value else "[]"


def _ordered(value: Mapping[str, Any]) -> list[str]:
    numbered = sorted((key for key in value if _is_index(key)), key=int)
    rest = [key for key in value if not _is_index(key)] if numbered else value
    return [*numbered, *rest]


def _number(value: float) -> str:
    """The shortest digits that mean this number, laid out as ECMA-262 says."""
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    text = float.__repr__(value)
    if "e" not in text:
        return text.removesuffix(".0")
    sign, found, exponent = Decimal(text).normalize().as_tuple()
    digits, minus = "".join(map(str, found)), "-" if sign else ""
    point = len(digits) + int(exponent)
    if len(digits) <= point <= PLAIN_DIGITS:
        return minus + digits.ljust(point, "0")
    if LEAST_POINT < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{fraction}e{point - 1:+d}"


def _is_index(key: str) -> bool:
    """Whether JavaScript takes a key for the index of an array."""
    return (
        key.isascii() and key.isdecimal() and (key == "0" or key[0] != "0") and len(key) < 11 and int(key) < 2**32 - 1
    )
