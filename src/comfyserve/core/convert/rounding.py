"""How the editor rounds a number that a primitive node sets: to the steps of the widget that takes it."""

import math
from collections.abc import Mapping
from typing import Any

from comfyserve.core.convert.specs import InputSpec

LARGEST = 2**63
INT_STEP, FLOAT_STEP = 1, 0.5
FLOAT_MIN, FLOAT_MAX = 0, 2048
"""What the editor takes for a step and for bounds that a class does not declare."""


def stepped(spec: InputSpec, value: Any) -> Any:
    """The value as the widget keeps it; what is no number of an INT or FLOAT widget stays as it is."""
    if not _is_number(value) or abs(value) >= LARGEST:
        return value
    if spec.widget_type == "INT":
        return _whole(spec.options, value)
    return _decimal(spec.options, value) if spec.widget_type == "FLOAT" else value


def _whole(options: Mapping[str, Any], value: float) -> int:
    step, least = _number(options.get("step"), INT_STEP) or INT_STEP, _number(options.get("min"), 0)
    if abs(value / step) >= LARGEST:
        return int(value)
    offset = 0 if step == INT_STEP else math.fmod(least, step)
    return int(math.floor((value - offset) / step + 0.5) * step + offset)


def _decimal(options: Mapping[str, Any], value: float) -> float:
    step = _number(options.get("step"), FLOAT_STEP)
    places = max(0, -math.floor(math.log10(step))) if step > 0 else 0
    unit = _number(options.get("round"), 0) or (10**-places if places else 0)
    if unit <= 0 or abs(value / unit) >= LARGEST:
        return value
    rounded = round(math.floor(value / unit + 0.5) * unit, places)
    least, most = _number(options.get("min"), FLOAT_MIN), _number(options.get("max"), FLOAT_MAX)
    return min(max(rounded, least), most)


def _number(value: Any, otherwise: float) -> float:
    return value if _is_number(value) and abs(value) < LARGEST else otherwise


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and (isinstance(value, int) or value == value)
