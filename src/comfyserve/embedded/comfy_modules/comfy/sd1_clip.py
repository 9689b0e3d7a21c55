"""Weights in prompts: the text functions of ComfyUI's tokenizer."""

from __future__ import annotations

from typing import Final

ESCAPED: Final = (("\\)", "\0\1"), ("\\(", "\0\2"))
MORE: Final = 1.1


def escape_important(text: str) -> str:
    """Hide escaped brackets from the parser."""
    for plain, hidden in ESCAPED:
        text = text.replace(plain, hidden)
    return text


def unescape_important(text: str) -> str:
    """Bring them back, without their backslashes."""
    for plain, hidden in ESCAPED:
        text = text.replace(hidden, plain[1:])
    return text


def parse_parentheses(string: str) -> list[str]:
    """The text cut at its outermost brackets; a part in brackets keeps them."""
    parts: list[str] = []
    depth, begin = 0, 0
    for place, letter in enumerate(string):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "(" and depth == 1:
            parts.append(string[begin:place])
            begin = place
        elif letter == ")" and depth == 0:
            parts.append(string[begin : place + 1])
            begin = place + 1
    parts.append(string[begin:])
    return [part for part in parts if part]


def token_weights(string: str, current_weight: float) -> list[tuple[str, float]]:
    """(text, weight) of each part: brackets multiply by 1.1, or set the number after their last colon."""
    found: list[tuple[str, float]] = []
    for part in parse_parentheses(string):
        if len(part) < 2 or part[0] != "(" or part[-1] != ")":
            found.append((part, current_weight))
            continue
        inner, weight = _explicit(part[1:-1], current_weight * MORE)
        found += token_weights(inner, weight)
    return found


def _explicit(inner: str, weight: float) -> tuple[str, float]:
    text, colon, number = inner.rpartition(":")
    if not colon or not text:
        return inner, weight
    try:
        return text, float(number)
    except ValueError:
        return inner, weight
