"""Calling a node function over lists of values, and putting the answers together (spec 9, values and lists)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfyserve.embedded.cache import Result
from comfyserve.embedded.node_types import NodeType

Arguments = dict[str, list[Any]]
"""Every input holds a list of values; a literal is a list of one."""


async def call(
    function: Callable[..., Any], arguments: Mapping[str, list[Any]], *, whole: bool, check: Callable[[], None]
) -> list[Any]:
    """The answers of one call (whole lists) or of a call per index; shorter lists repeat their last value.

    `check` is asked before each call and raises to stop.
    """
    answers = []
    for given in _per_call(arguments, whole):
        check()
        answer = function(**given)
        answers.append(await answer if inspect.isawaitable(answer) else answer)
    return answers


def combine(node: NodeType, answers: Sequence[Any]) -> Result:
    """One Result of all answers: slots appended or extended, UI lists joined. ValueError for a wrong shape."""
    slots: list[list[Any]] = [[] for _ in node.output_types]
    ui: dict[str, list[Any]] | None = None
    for answer in answers:
        values, shown = _split(node, answer)
        if shown is not None:
            ui = _join(ui, shown)
        if values is not None:
            _append(node, slots, values)
    return Result(tuple(slots), ui)


def _per_call(arguments: Mapping[str, list[Any]], whole: bool) -> list[dict[str, Any]]:
    if whole:
        return [dict(arguments)]
    count = max((len(values) for values in arguments.values()), default=0)
    if count == 0:
        empty = [name for name, values in arguments.items() if not values]
        return [] if empty else [{}]
    for name, values in arguments.items():
        if not values:
            raise ValueError(f"input {name!r} got an empty list beside inputs with values")
    return [{name: values[min(i, len(values) - 1)] for name, values in arguments.items()} for i in range(count)]


def _split(node: NodeType, answer: Any) -> tuple[Sequence[Any] | None, Mapping[str, Any] | None]:
    if isinstance(answer, Mapping):
        if "expand" in answer:
            raise ValueError(f"{node.name} expands into new nodes, which this engine does not do yet")
        return answer.get("result"), answer.get("ui")
    if answer is None:
        return None, None
    if not isinstance(answer, (tuple, list)):
        raise ValueError(f"{node.name} must return a tuple or an object, not {type(answer).__name__}")
    return answer, None


def _append(node: NodeType, slots: list[list[Any]], values: Sequence[Any]) -> None:
    if len(values) < len(slots):
        raise ValueError(f"{node.name} returned {len(values)} values for {len(slots)} outputs")
    for index, slot in enumerate(slots):
        if node.output_is_list[index]:
            slot.extend(values[index])
        else:
            slot.append(values[index])


def _join(ui: dict[str, list[Any]] | None, shown: Mapping[str, Any]) -> dict[str, list[Any]]:
    if ui is None:
        return {key: list(value) for key, value in shown.items()}
    return {key: [*value, *shown.get(key, ())] for key, value in ui.items()}
