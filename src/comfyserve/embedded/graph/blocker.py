"""The value by which a node keeps its consumers from running (spec section 9)."""

from __future__ import annotations


class ExecutionBlocker:
    """Given as an output: what needs it does not run; a message becomes an `execution_error`, None is silent."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message
