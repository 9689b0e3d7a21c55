"""Every fault this engine can play, with its parameters: options, nodes and docs are made from this one table."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Kind(StrEnum):
    """The faults by the names that `--fault` takes."""

    SLOW_START = "slow-start"
    SLOW_LOAD = "slow-load"
    OUT_OF_MEMORY = "out-of-memory"
    CRASH = "crash"
    HANG = "hang"
    SOCKET_DROPPED = "socket-dropped"
    SOCKET_SILENT = "socket-silent"
    LATE_HISTORY = "late-history"
    WRONG_ANSWER = "wrong-answer"


ANSWERS: Final = ("error-500", "not-json", "empty", "other-id", "cut")
"""What `/prompt` may answer wrongly; `cut` closes the connection. The prompt is queued all the same."""

SIGNALS: Final = ("none", "KILL", "SEGV", "ABRT", "TERM")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of a fault: its default decides its type; numbers have bounds, words a list of choices."""

    name: str
    default: float | int | str
    low: float = 0
    high: float = 3600
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> float | int | str:
        """The value that a command line gives. Raises ValueError that says what is possible."""
        if self.choices:
            if text not in self.choices:
                raise ValueError(f"{self.name} must be one of {', '.join(self.choices)}, not {text!r}")
            return text
        try:
            value = type(self.default)(text)
        except ValueError:
            raise ValueError(f"{self.name} must be a number, not {text!r}") from None
        # Written so that NaN, which compares with nothing, is refused too.
        if not (isinstance(value, int | float) and self.low <= value <= self.high):
            raise ValueError(f"{self.name} must be between {self.low:g} and {self.high:g}, not {text}")
        return value


STEP: Final = Parameter("step", 1, 1, 10_000)
SECONDS: Final = Parameter("seconds", 5.0)

PARAMETERS: Final[dict[Kind, tuple[Parameter, ...]]] = {
    Kind.SLOW_START: (SECONDS,),
    Kind.SLOW_LOAD: (SECONDS,),
    Kind.OUT_OF_MEMORY: (STEP,),
    Kind.CRASH: (STEP, Parameter("exit_code", 1, 0, 255), Parameter("signal", "none", choices=SIGNALS)),
    Kind.HANG: (STEP,),
    Kind.SOCKET_DROPPED: (STEP,),
    Kind.SOCKET_SILENT: (STEP,),
    Kind.LATE_HISTORY: (SECONDS,),
    Kind.WRONG_ANSWER: (Parameter("answer", "error-500", choices=ANSWERS),),
}

MEANINGS: Final[dict[Kind, str]] = {
    Kind.SLOW_START: "The engine answers nothing for `seconds` after its start; the node delays the next start.",
    Kind.SLOW_LOAD: "Each model loader takes `seconds`; the node alone takes them once.",
    Kind.OUT_OF_MEMORY: "Step `step` raises torch's out-of-memory error.",
    Kind.CRASH: "At step `step` the process ends with `exit_code`, or by `signal`.",
    Kind.HANG: "Step `step` never ends and does not look for interruption.",
    Kind.SOCKET_DROPPED: "At step `step` every websocket is cut without a goodbye.",
    Kind.SOCKET_SILENT: "From step `step` of a prompt on its client's websocket stays open and says nothing.",
    Kind.LATE_HISTORY: "The history has a prompt's record only `seconds` after its last message.",
    Kind.WRONG_ANSWER: "`POST /prompt` queues the prompt and answers wrongly, as `answer` says.",
}

STEPPED: Final = frozenset(kind for kind, parameters in PARAMETERS.items() if STEP in parameters)
"""The faults that happen at a step of a prompt."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault with all its values."""

    kind: Kind
    values: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def fault(kind: Kind, **given: Any) -> Fault:
    """A fault whose other values are the defaults."""
    return Fault(kind, {parameter.name: parameter.default for parameter in PARAMETERS[kind]} | given)


def parse_fault(text: str) -> Fault:
    """Read `crash,step=3,signal=KILL`. Raises ValueError that says what is wrong."""
    name, *settings = text.split(",")
    if name not in set(Kind):
        raise ValueError(f"there is no fault {name!r}; there are {', '.join(Kind)}")
    kind = Kind(name)
    known = {parameter.name: parameter for parameter in PARAMETERS[kind]}
    given = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in known:
            raise ValueError(f"{name} has no {key!r}; it takes {', '.join(known)}")
        given[key] = known[key].read(value)
    return fault(kind, **given)


def signal_number(name: str) -> signal.Signals | None:
    """The signal of a name of SIGNALS, None for `none`."""
    return None if name == "none" else signal.Signals[f"SIG{name}"]
