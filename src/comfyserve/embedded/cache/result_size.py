"""About how much memory a result takes: arrays and texts exactly, other objects as far as one can look inside."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

OBJECT_BYTES = 64
"""What any object costs besides its contents."""
LOOKED_AT = 10_000
"""Of a longer list so many items are looked at, the others count as small objects."""


def size_of(value: Any, most: int) -> int:
    """Bytes of all that `value` holds, each object once; stops counting beyond `most`."""
    total = 0
    seen: set[int] = set()
    waiting = [value]
    while waiting and total <= most:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        whole = _whole(current)
        if whole is not current:
            waiting.append(whole)
            continue
        total += _own_size(current)
        waiting.extend(_parts(current))
    return total


def _whole(value: Any) -> Any:
    """A view keeps the array alive that it looks at."""
    base = getattr(value, "base", None) if hasattr(value, "nbytes") else None
    return base if hasattr(base, "nbytes") else value


def _own_size(value: Any) -> int:
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size + OBJECT_BYTES
    if isinstance(value, (str, bytes, bytearray)):
        return sys.getsizeof(value)
    if isinstance(value, (list, tuple)):
        return OBJECT_BYTES * (1 + max(0, len(value) - LOOKED_AT))
    picture = getattr(value, "size", None), getattr(value, "getbands", None)
    if isinstance(picture[0], tuple) and callable(picture[1]):
        return int(picture[0][0]) * int(picture[0][1]) * len(picture[1]())
    return OBJECT_BYTES


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, (dict, MappingProxyType)):  # another mapping may read a file when it is asked what it has
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return itertools.islice(value, LOOKED_AT)
    if isinstance(value, type) or callable(value) or hasattr(value, "nbytes"):
        return ()
    held = getattr(value, "__dict__", None)
    slots = [getattr(value, name, None) for name in getattr(type(value), "__slots__", ()) if isinstance(name, str)]
    return [*(held.values() if isinstance(held, dict) else ()), *slots]
