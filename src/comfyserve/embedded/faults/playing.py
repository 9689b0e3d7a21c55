"""The faults of one engine: those it was started with, and those that the nodes of the running prompt armed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from comfyserve.embedded.faults.table import STEPPED, Fault, Kind, signal_number

NEXT_START = "slow-start-once"
"""The file in the base directory by which the node delays the next start."""


class OutOfMemoryError(RuntimeError):
    """Looks to clients as torch's own error does: they tell it by the dotted name."""


OutOfMemoryError.__module__ = "torch"


class Faults:
    """Asked at every point where something may go wrong; does nothing unless a fault was switched on.

    What nodes armed belongs to the worker thread; `from_start` may be called from any thread.
    """

    def __init__(self, always: Iterable[Fault] = ()) -> None:
        self._always = tuple(always)
        self._armed: list[Fault] = []
        self.drop_sockets: Callable[[], None] = lambda: None
        self.silence: Callable[[], None] = lambda: None
        """What the sockets do when they are told to; set by the owner of the sockets."""

    def end_prompt(self) -> None:
        """The prompt has run: what its nodes armed is gone."""
        self._armed.clear()

    def arm(self, fault: Fault) -> None:
        """Switch a fault on for the rest of the running prompt."""
        self._armed.append(fault)

    def of_kind(self, kind: Kind) -> Fault | None:
        """The fault of that kind that holds now, one that a node armed before one of the start options."""
        return next((fault for fault in (*reversed(self._armed), *self._always) if fault.kind is kind), None)

    def from_start(self, kind: Kind) -> Fault | None:
        """The fault of that kind among the start options."""
        return next((fault for fault in self._always if fault.kind is kind), None)

    def seconds(self, kind: Kind) -> float:
        """How long to wait for a fault that is a delay; 0 without it."""
        found = self.of_kind(kind)
        return float(found["seconds"]) if found else 0.0

    def step(self, number: float) -> None:
        """A node has come to this step of its work: play what is due. May not return."""
        if not self._armed and not self._always:
            return
        for fault in (*self._armed, *self._always):
            if fault.kind in STEPPED and fault["step"] == int(number):
                self._play(fault)

    def _play(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.OUT_OF_MEMORY:
                raise OutOfMemoryError("Allocation on device failed: out of memory (played by a fault)")
            case Kind.CRASH:
                _end_process(fault)
            case Kind.HANG:
                threading.Event().wait()
            case Kind.SOCKET_DROPPED:
                self.drop_sockets()
            case Kind.SOCKET_SILENT:
                self.silence()


def delay_next_start(base: Path, seconds: float) -> None:
    """Let the next start of the engine on this base directory take so long."""
    (base / NEXT_START).write_text(str(seconds), encoding="ascii")


def start_delay(base: Path, faults: Faults) -> float:
    """Seconds to wait before the port opens; forgets what a node left for this start."""
    once = base / NEXT_START
    try:
        seconds = float(once.read_text(encoding="ascii")[:32])
        once.unlink()
    except (OSError, ValueError):
        seconds = 0.0
    return max(seconds, faults.seconds(Kind.SLOW_START))


def _end_process(fault: Fault) -> NoReturn:
    number = signal_number(fault["signal"])
    if number is not None:
        os.kill(os.getpid(), number)
        time.sleep(1)  # the signal arrives
    os._exit(fault["exit_code"])
