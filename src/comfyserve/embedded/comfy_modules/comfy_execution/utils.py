"""Which node runs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from comfyserve.embedded import context


class ExecutionContext(NamedTuple):
    """The node call in progress."""

    prompt_id: str
    node_id: str
    list_index: int | None


def get_executing_context() -> ExecutionContext | None:
    """The node call in progress, None outside of one."""
    try:
        around = context.current()
    except LookupError:
        return None
    return ExecutionContext(around.prompt_id, around.node_id, around.index) if around.node_id else None


class CurrentNodeContext:
    """A `with` block in which another node counts as the running one."""

    def __init__(self, prompt_id: str, node_id: str, list_index: int | None = None) -> None:
        self.context = ExecutionContext(prompt_id, node_id, list_index)
        self._before: context.NodeContext | None = None

    def __enter__(self) -> CurrentNodeContext:
        self._before = around = context.current()
        inside = replace(around, prompt_id=self.context.prompt_id, node_id=self.context.node_id)
        context.activate(inside)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            context.activate(self._before)
