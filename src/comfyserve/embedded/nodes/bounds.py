"""The bound on pictures where they pass from node to node: what goes into a built-in node, and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from comfyserve.embedded.pixels.arrays import check_room, most_samples

LOOKED_AT = 1000
"""Of a longer list so many items are looked at."""


def check_given(values: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of the largest array that a node is given, () without one; TooLarge for more than any loader makes."""
    shapes = [shape for value in values.values() for shape in _shapes(value)]
    largest = max(shapes, key=_size, default=())
    if largest and _size(largest) > most_samples(decoded=True):
        check_room(largest)
    return largest


def check_result(result: Any, given: tuple[int, ...]) -> None:
    """TooLarge for a picture above the bound, unless it is no larger than what the node was given.

    Nodes that are given none decode files, which have a bound of their own that may be higher. Views that repeat
    samples count in full, since the next node writes them out.
    """
    allowed = max(most_samples(decoded=not given), _size(given))
    for shape in _shapes(result):
        if _size(shape) > allowed:
            check_room(shape)


def _size(shape: tuple[int, ...]) -> int:
    return prod(shape) if shape else 0


def _shapes(value: Any, depth: int = 2) -> Iterator[tuple[int, ...]]:
    """The shapes of arrays: IMAGE, MASK, the parts of a LATENT, and lists of them."""
    if isinstance(value, np.ndarray):
        yield value.shape
    elif isinstance(value, dict) and "samples" in value:
        yield from (part.shape for part in value.values() if isinstance(part, np.ndarray))
    elif isinstance(value, (list, tuple)) and depth:
        for item in value[:LOOKED_AT]:
            yield from _shapes(item, depth - 1)
