"""The External inputs that are values: bound, they stand in `input_id` as text and in `default_value` as they are."""

import math
import random
from typing import Any

from . import _numbers
from ._nodes import node

SEED_LIMIT = 999_999_999_999_999
WORDS = {"true": True, "false": False}
SEED_FIELDS = ("default_value", "min_value", "max_value")


@node(
    "ComfyUIDeployExternalText",
    "ComfyUIDeployExternalTextAny",
    "ComfyUIDeployExternalTextSingleLine",
    "ComfyUIDeployExternalEnum",
    "ComfyUIDeployExternalColor",
)
def text(default_value: str = "", **_: Any) -> tuple[str]:
    """A text, a choice or a colour."""
    return (default_value,)


@node("ComfyUIDeployExternalBoolean")
def boolean(input_id: str = "", default_value: bool = False, **_: Any) -> tuple[bool]:
    """A switch. ComfyUI makes true of any text in default_value, so the words that stand in input_id come first."""
    return (WORDS.get(input_id.strip().lower(), default_value),)


@node("ComfyUIDeployExternalNumber")
def number(input_id: str, default_value: float = 0.0, **_: Any) -> tuple[float]:
    """A number."""
    given = _numbers.number(input_id)
    return (float(default_value if given is None else given),)


@node("ComfyUIDeployExternalNumberInt")
def whole_number(input_id: str, default_value: int = 0, **_: Any) -> tuple[int]:
    """A whole number."""
    given = _numbers.whole(input_id)
    return (int(default_value) if given is None else given,)


@node("ComfyUIDeployExternalNumberSlider")
def slider(
    input_id: str, default_value: float = 0.5, min_value: float = 0.0, max_value: float = 1.0, **_: Any
) -> tuple[float]:
    """A number between two bounds."""
    given = _numbers.number(input_id)
    if given is not None:
        _numbers.inside(given, min_value, max_value)
    return (float(default_value if given is None else given),)


@node("ComfyUIDeployExternalNumberSliderInt")
def whole_slider(
    input_id: str, default_value: int = 1, min_value: int = 0, max_value: int = 10, **_: Any
) -> tuple[int]:
    """A whole number between two bounds."""
    given = _numbers.number(input_id)
    if given is not None:
        _numbers.inside(round(given), min_value, max_value)
    return (int(default_value) if given is None else round(given),)


def _seed_limits(min_value: int, max_value: int) -> tuple[int, int]:
    low, high = (min(max(int(limit), 1), SEED_LIMIT) for limit in (min_value, max_value))
    return min(low, high), max(low, high)


def _seed_changed(**inputs: Any) -> float | int:
    """A fixed seed is the same next time; NaN, for a random one or one that comes through a link, never is."""
    known = [value for name in SEED_FIELDS if isinstance(value := inputs.get(name), int)]
    if len(known) < len(SEED_FIELDS):
        return math.nan
    value, *limits = known
    low, high = _seed_limits(*limits)
    return value if low <= value <= high else math.nan


@node("ComfyUIDeployExternalSeed", IS_CHANGED=staticmethod(_seed_changed))
def seed(default_value: int = -1, min_value: int = 1, max_value: int = SEED_LIMIT, **_: Any) -> tuple[int]:
    """A seed; outside of its limits, such as -1, it is a new one each time."""
    low, high = _seed_limits(min_value, max_value)
    # A seed needs no secrecy, only variety.
    return (default_value if low <= default_value <= high else random.randint(low, high),)
