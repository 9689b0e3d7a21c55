"""What a deployment makes of the declared inputs: allowed values, a default of its own, a label."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.graph import Graph
from comfyserve.core.inputs.accept import accept, list_words, refused
from comfyserve.core.inputs.declare import MAX_CHOICES, Input
from comfyserve.core.inputs.externals import Kind
from comfyserve.core.inputs.names import unknown_name
from comfyserve.core.inputs.plain import plain_input

MAX_LABEL = 200
LISTABLE = frozenset({Kind.TEXT, Kind.NUMBER, Kind.INTEGER, Kind.SEED, Kind.CHOICE, Kind.COLOR, Kind.MODEL})


@dataclass(frozen=True)
class Narrowing:
    """What a deployment says of one input; None leaves it as the workflow has it."""

    allowed: tuple[Any, ...] | None = None
    default: Any = None
    label: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The parts that are said, as JSON; `Narrowing.read` takes them back."""
        parts = {"allowed": None if self.allowed is None else list(self.allowed)}
        return {
            key: value
            for key, value in (parts | {"default": self.default, "label": self.label}).items()
            if value is not None
        }

    @classmethod
    def read(cls, input_id: str, raw: Any) -> "Narrowing":
        """From JSON. Raises InvalidInput for anything but an object with allowed, default and label."""
        if not isinstance(raw, Mapping) or (unknown := sorted(raw.keys() - {"allowed", "default", "label"})):
            what = f"not {', '.join(map(str, unknown))}" if isinstance(raw, Mapping) else "as an object"
            raise _wrong(input_id, f"takes allowed, default and label, {what}")
        allowed, label = raw.get("allowed"), raw.get("label")
        if allowed is not None and not isinstance(allowed, list | tuple):
            raise _wrong(input_id, "needs a list of values in allowed")
        if label is not None and not isinstance(label, str):
            raise _wrong(input_id, "needs a text as its label")
        return cls(None if allowed is None else tuple(allowed), raw.get("default"), label)


def narrow(
    inputs: Iterable[Input], narrowings: Mapping[str, Narrowing], *, graph: Graph | None = None
) -> tuple[Input, ...]:
    """The inputs as the deployment has them, in the same order; with a graph, `12.text` may be named and is appended.

    Raises InvalidInput for an unknown input (with the known ones), a value that does not suit its input, and a
    default that is not allowed.
    """
    known = {one.id: one for one in inputs}
    for input_id, narrowing in narrowings.items():
        one = known.get(input_id) or (plain_input(graph, input_id) if graph else None)
        if one is None:
            raise unknown_name(input_id, known)
        known[input_id] = _narrowed(one, narrowing)
    return tuple(known.values())


def _narrowed(one: Input, narrowing: Narrowing) -> Input:
    if narrowing.label is not None:
        one = replace(one, label=_label(one, narrowing.label))
    if narrowing.allowed is not None:
        one = replace(one, choices=_allowed(one, narrowing.allowed), by_address=False)
    if narrowing.default is not None:
        return replace(one, default=accept(one, narrowing.default), from_deployment=True)
    if narrowing.allowed is not None:
        _check_default(one)
    return one


def _label(one: Input, label: str) -> str:
    text = label.strip()
    if not text or len(text) > MAX_LABEL:
        raise refused(one, f"needs a label of 1 to {MAX_LABEL} characters")
    return text


def _allowed(one: Input, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if one.kind not in LISTABLE:
        raise refused(one, f"is of kind {one.kind} and cannot be narrowed to a list of values")
    if not values or len(values) > MAX_CHOICES:
        raise refused(one, f"needs 1 to {MAX_CHOICES} allowed values")
    accepted = (accept(one, value) for value in values)
    return tuple(dict.fromkeys(accepted))


def _check_default(one: Input) -> None:
    """The workflow's own default would be bound when the caller gives nothing, so it must be allowed, too."""
    if one.default is None:
        return
    try:
        accept(one, one.default)
    except InvalidInput:
        reason = f"has the default {one.default} in the workflow, which is not among {list_words(one.choices)}"
        raise refused(one, f"{reason}: name a default as well") from None


def _wrong(input_id: str, reason: str) -> InvalidInput:
    return InvalidInput(f"The narrowing of input {input_id} {reason}.", place=Place(field=input_id))
