"""Numbers of primitive nodes, rounded as the editor rounds them."""

from typing import Any

import pytest

from comfyserve.core.convert.rounding import stepped
from comfyserve.core.convert.specs import InputSpec


@pytest.mark.parametrize(
    ("kind", "options", "value", "expected"),
    [
        ("INT", {}, 7.5, 8),
        ("INT", {"step": 8, "min": 16}, 61, 64),
        ("INT", {"step": 8, "min": 4}, 61, 60),
        ("INT", {"step": 1e-300}, 5, 5),
        ("INT", {}, 2**64 - 1, 2**64 - 1),
        ("FLOAT", {}, 0.34, 0.3),
        ("FLOAT", {"step": 0.01}, 0.346, 0.35),
        ("FLOAT", {"step": 0.1, "round": 0.01}, 0.346, 0.4),
        ("FLOAT", {"max": 1}, 5, 1),
        ("FLOAT", {"step": 1}, 2.6, 2.6),
        ("FLOAT", {"step": 0}, 2.6, 2.6),
        ("FLOAT", {}, float("inf"), float("inf")),
        ("FLOAT", {}, "text", "text"),
        ("STRING", {}, 0.34, 0.34),
    ],
)
def test_steps(kind: str, options: dict[str, Any], value: Any, expected: Any) -> None:
    assert stepped(InputSpec("x", kind, options), value) == expected
