"""Widget values: coerced by declared type, then held against bounds and choices (spec sections 2 and 9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from comfyserve.embedded.graph.node_types import InputSpec
from comfyserve.protocol.errors import LONG_LIST, NODE_MESSAGES, NodeError

Problem = dict[str, Any]
"""One entry of `node_errors[id].errors`."""

COERCIONS: Final[dict[str, Callable[[Any], Any]]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class NotCoercible(Exception):
    """A value that its declared type does not take; carries the problem to report."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem["details"])
        self.problem = problem


def problem(kind: NodeError, details: str, message: str | None = None, **extra: Any) -> Problem:
    """An error entry; `extra` are the keys of extra_info."""
    return {"type": str(kind), "message": message or NODE_MESSAGES[kind], "details": details, "extra_info": extra}


def unwrap(value: Any) -> Any:
    """Take a literal list out of its `{"__value__": [...]}` wrapper."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value


def coerce(spec: InputSpec, value: Any) -> Any:
    """The value as its declared type has it; raises NotCoercible. Types that are no widgets pass untouched."""
    convert = COERCIONS.get(spec.type) if isinstance(spec.type, str) else None
    if convert is None:
        return value
    try:
        converted = convert(value)
        # JSON has no form for NaN and infinity: neither the history nor a saved picture could tell the graph.
        if isinstance(converted, float) and not math.isfinite(converted):
            raise ValueError("not a finite number")
        return converted
    except (ValueError, TypeError, OverflowError) as error:
        raise NotCoercible(
            problem(
                NodeError.INVALID_INPUT_TYPE,
                f"{spec.name}, {value}, {error}",
                NODE_MESSAGES[NodeError.INVALID_INPUT_TYPE].format(type=spec.type),
                input_name=spec.name,
                input_config=spec.config,
                received_value=value,
                exception_message=str(error),
            )
        ) from error


def check_bounds(spec: InputSpec, value: Any) -> Problem | None:
    """The first of min, max and choices that the value breaks."""
    low, high = spec.options.get("min"), spec.options.get("max")
    if low is not None and value < low:
        return _out_of_bounds(spec, NodeError.VALUE_SMALLER_THAN_MIN, value, low)
    if high is not None and value > high:
        return _out_of_bounds(spec, NodeError.VALUE_BIGGER_THAN_MAX, value, high)
    return _not_in_list(spec, value)


def _out_of_bounds(spec: InputSpec, kind: NodeError, value: Any, bound: Any) -> Problem:
    return problem(
        kind,
        spec.name,
        NODE_MESSAGES[kind].format(value=value, bound=bound),
        input_name=spec.name,
        input_config=spec.config,
        received_value=value,
    )


def _not_in_list(spec: InputSpec, value: Any) -> Problem | None:
    choices = spec.choices
    if choices is None or value in choices:
        return None
    long = len(choices) > LONG_LIST
    shown = f"(list of length {len(choices)})" if long else str(choices)
    return problem(
        NodeError.VALUE_NOT_IN_LIST,
        f"{spec.name}: '{value}' not in {shown}",
        input_name=spec.name,
        input_config=None if long else spec.config,
        received_value=value,
    )
