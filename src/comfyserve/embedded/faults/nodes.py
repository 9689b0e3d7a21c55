"""One node for each fault: passes its input on and arms the fault for the rest of the prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from comfyserve.embedded.context import current
from comfyserve.embedded.faults.playing import delay_next_start
from comfyserve.embedded.faults.table import MEANINGS, PARAMETERS, Kind, Parameter, fault
from comfyserve.embedded.nodes.declare import Family, Spec, choice, integer, number

MODULE: Final = "comfyserve.faults"
CATEGORY: Final = "comfyserve/faults"
PREFIX: Final = "ComfyserveFault"

family = Family()


def class_name(kind: Kind) -> str:
    """`ComfyserveFaultSocketDropped` for `socket-dropped`."""
    return PREFIX + "".join(word.capitalize() for word in kind.split("-"))


def _spec(parameter: Parameter) -> Spec:
    if parameter.choices:
        return choice(*parameter.choices, default=parameter.default)
    if isinstance(parameter.default, int):
        return integer(parameter.default, int(parameter.low), int(parameter.high))
    return number(float(parameter.default), parameter.low, parameter.high, 0.1)


def _arming(kind: Kind) -> Callable[..., Any]:
    def arm(any_value: Any = None, **values: Any) -> Any:
        context = current()
        if kind is Kind.SLOW_START:
            delay_next_start(context.folders.base, values["seconds"])
        elif kind is Kind.SLOW_LOAD:
            context.wait(values["seconds"])
        elif kind is not Kind.WRONG_ANSWER:  # played when the prompt was submitted
            context.faults.arm(fault(kind, **values))
        return any_value

    arm.__doc__ = MEANINGS[kind]
    return arm


for _kind, _parameters in PARAMETERS.items():
    family.node(
        class_name(_kind),
        MODULE,
        CATEGORY,
        {parameter.name: _spec(parameter) for parameter in _parameters},
        ("*",),
        optional={"any_value": ("*",)},
        title=f"Fault: {_kind.replace('-', ' ')}",
        fingerprint=lambda **_: float("nan"),
    )(_arming(_kind))

NODE_CLASS_MAPPINGS: Final = family.classes
NODE_DISPLAY_NAME_MAPPINGS: Final = family.titles
