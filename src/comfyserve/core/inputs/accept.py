"""Whether a value suits an input: its type, its bounds, its choices."""

from typing import Any

from comfyserve.core.addresses import is_outside
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.inputs.coerce import Misfit, as_text, coerce, shown
from comfyserve.core.inputs.declare import Input
from comfyserve.core.inputs.externals import EXTERNALS, INPUT_ID, NUMERIC, RANDOM_SEED, Kind

SHOWN_CHOICES = 20

Number = int | float


def accept(one: Input, value: Any) -> Any:
    """The value as it is bound. Raises InvalidInput that names the input and says what is allowed."""
    try:
        accepted = coerce(one.kind, value)
        if one.choices and not (one.by_address and is_outside(accepted)):
            return _chosen(one.choices, accepted)
        _check_bounds(one, accepted)
    except Misfit as reason:
        raise refused(one, str(reason)) from None
    return accepted


def refused(one: Input, reason: str, node_id: str | None = None) -> InvalidInput:
    """The error for a value of this input; `reason` goes on after the input's name."""
    sentence = f"Input {one.id} {reason}. {allowed_words(one)}".rstrip()
    return InvalidInput(sentence, place=Place(node_id=node_id or one.node_ids[0], field=one.id))


def allowed_words(one: Input) -> str:
    """A sentence on what the input takes, empty when its type says all."""
    if one.choices:
        return f"Allowed: {list_words(one.choices)}."
    low, high = hard_bounds(one)
    if low is None and high is None:
        return ""
    words = f"Allowed: at most {high}" if low is None else f"Allowed: at least {low}"
    if low is not None and high is not None:
        words = f"Allowed: {low} to {high}"
    return f"{words}, or {RANDOM_SEED} for a random seed." if one.kind is Kind.SEED else f"{words}."


def list_words(choices: tuple[Any, ...]) -> str:
    """The choices as an error lists them, cut when there are many."""
    words = ", ".join(as_text(one) for one in choices[:SHOWN_CHOICES])
    return f"{words} and {len(choices) - SHOWN_CHOICES} more" if len(choices) > SHOWN_CHOICES else words


def hard_bounds(one: Input) -> tuple[Number | None, Number | None]:
    """The declared bounds, or those of the node's own field, beyond which the engine would refuse the graph."""
    external = EXTERNALS.get(one.class_type)
    field = external.field(external.default) if external and one.field == INPUT_ID else None
    options = field.options if field and one.kind in NUMERIC else {}
    low = options.get("min") if one.minimum is None else one.minimum
    high = options.get("max") if one.maximum is None else one.maximum
    return low, high


def not_given(one: Input, value: Any) -> bool:
    """Whether a value stands for none: null, or an empty text where that cannot be a value."""
    return value is None or (value == "" and one.kind is not Kind.TEXT and "" not in one.choices)


def _check_bounds(one: Input, value: Any) -> None:
    if one.kind not in NUMERIC or (one.kind is Kind.SEED and value == RANDOM_SEED):
        return
    low, high = hard_bounds(one)
    if (low is not None and value < low) or (high is not None and value > high):
        raise Misfit(f"is out of range with {shown(value)}")


def _chosen(choices: tuple[Any, ...], value: Any) -> Any:
    """The choice that the value means; `true` and 1 are two things, 768 and 768.0 one."""
    text = as_text(value)
    for one in choices:
        if as_text(one) == text or (_same_number(one, value)):
            return one
    raise Misfit(f"cannot be {shown(value)}")


def _same_number(one: Any, value: Any) -> bool:
    return not isinstance(one, bool | str) and not isinstance(value, bool | str) and bool(one == value)
