"""Patterns of URLs (stateless-comfyui-api.md section 3.6): `**` is any run of characters, `*` any run without `/`,
`?` one character.

They come from callers, so no regular expression is made of them: a match takes one step for each character of the URL,
whatever the pattern.
"""

import re
from collections import defaultdict

MAX_WILDCARDS = 10
"""Runs of stars in one pattern."""

_PLAIN = re.compile(r"[^*?]*")
_PARTS = re.compile(r"\*+|[^*]", re.DOTALL)
_STARS = re.compile(r"\*+")


def wildcards(pattern: str) -> int:
    """How many runs of stars it has."""
    return len(_STARS.findall(pattern))


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text is one that the pattern names."""
    plain = _PLAIN.match(pattern)
    head = plain.end() if plain else 0
    return text.startswith(pattern[:head]) and _fits(pattern[head:], text[head:])


def _fits(pattern: str, text: str) -> bool:
    """A set of places in the pattern, one bit each: bit n stands for n signs matched. A star is the place's right to
    stay where it is."""
    goes_on: dict[str, int] = defaultdict(int)
    any_sign = stays = stays_at_slash = 0
    place = 1
    for part in _PARTS.findall(pattern):
        if part[0] == "*":
            stays |= place
            stays_at_slash |= place if len(part) > 1 else 0
            continue
        if part == "?":
            any_sign |= place
        else:
            goes_on[part] |= place
        place <<= 1
    places = 1
    for sign in text:
        stay = stays_at_slash if sign == "/" else stays
        places = (places & stay) | ((places & (goes_on.get(sign, 0) | any_sign)) << 1)
        if not places:
            return False
    return bool(places & place)
