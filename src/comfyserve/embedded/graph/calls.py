"""Calling a node function over lists of values, and putting the answers together (spec 9, values and lists)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyserve.embedded.graph.blocker import ExecutionBlocker
from comfyserve.embedded.graph.foreign import Raised, foreign_async
from comfyserve.embedded.graph.graph_builder import GraphNodes
from comfyserve.embedded.graph.graph_view import Arguments
from comfyserve.embedded.graph.node_types import NodeType

Blocked = Callable[[ExecutionBlocker], ExecutionBlocker]

POLL_SECONDS = 0.1
"""How often an interruption is looked for while only asynchronous calls are under way."""
CANCEL_SECONDS = 1.0
"""How long cancelled asynchronous calls may take to end."""


@dataclass(slots=True)
class Answers:
    """What the calls of one node gave: values for the slots or graphs to run first, and the UI object."""

    values: list[Any] = field(default_factory=list)
    graphs: list[GraphNodes | None] = field(default_factory=list)
    ui: dict[str, list[Any]] | None = None

    @property
    def expands(self) -> bool:
        return any(graph is not None for graph in self.graphs)


async def start_calls(
    function: Callable[..., Any],
    arguments: Arguments,
    *,
    whole: bool,
    before: Callable[[int], None] = lambda _: None,
    blocked: Blocked = lambda block: block,
) -> list[Any]:
    """The answer of each call: one with whole lists, or one per index where shorter lists repeat their last value.

    An asynchronous call that goes on is a task; settle() waits. A call that would get a blocker is not made: what
    `blocked` makes of it is the answer. `before` is told the index of each call and may raise to stop. When a call
    raises, those that go on are cancelled first.
    """
    answers: list[Any] = []
    try:
        for index, given in enumerate(_per_call(arguments, whole)):
            before(index)
            block = _blocker_in(given.values(), whole)
            if block is not None:
                answers.append(blocked(block))
                continue
            answer = function(**given)
            if not inspect.isawaitable(answer):
                answers.append(answer)
                continue
            answers.append(task := asyncio.ensure_future(foreign_async(answer)))
            await asyncio.sleep(0)
            if task.done():
                answers[-1] = _told(task)
    except BaseException:
        await cancel(tasks_of(answers))
        raise
    return answers


async def settle(answers: Sequence[Any], check: Callable[[], None] = lambda: None) -> list[Any]:
    """The answers with those of tasks in their place; raises what the first failing task raised.

    `check` is asked every POLL_SECONDS and may raise to stop; the calls that go on are cancelled first.
    """
    pending = set(tasks_of(answers))
    try:
        while pending:
            check()
            _, pending = await asyncio.wait(pending, timeout=POLL_SECONDS)
    except BaseException:
        await cancel(pending)
        raise
    return [_told(answer) if isinstance(answer, asyncio.Task) else answer for answer in answers]


async def call(
    function: Callable[..., Any],
    arguments: Arguments,
    *,
    whole: bool,
    before: Callable[[int], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> list[Any]:
    """start_calls and settle in one."""
    return await settle(await start_calls(function, arguments, whole=whole, before=before), check)


def tasks_of(answers: Sequence[Any]) -> list[asyncio.Task[Any]]:
    """The calls among the answers of start_calls that were going on."""
    return [answer for answer in answers if isinstance(answer, asyncio.Task)]


async def cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    """End these calls. One that does not let itself be cancelled is left after CANCEL_SECONDS."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)


def read_answers(node: NodeType, given: Sequence[Any]) -> Answers:
    """Tell values, graphs and UI apart: a node answers with a tuple, a blocker, or an object of result, expand, ui."""
    answers = Answers()
    shown: list[Mapping[str, Any]] = []
    for answer in given:
        if isinstance(answer, Mapping):
            if "ui" in answer:
                shown.append(answer["ui"])
            if "expand" not in answer and "result" not in answer:
                continue
            answers.graphs.append(answer.get("expand"))
            answer = answer.get("result")
        else:
            answers.graphs.append(None)
        if isinstance(answer, ExecutionBlocker):
            answer = (answer,) * len(node.output_types)
        answers.values.append(answer)
    if shown:
        answers.ui = {key: [item for ui in shown for item in ui[key]] for key in shown[0]} or None
    return answers


def combine(node: NodeType, values: Sequence[Any]) -> tuple[list[Any], ...]:
    """One list per slot of all answers: appended, or extended where the class says OUTPUT_IS_LIST."""
    if not values:
        return ()
    slots: list[list[Any]] = []
    for index, is_list in zip(range(len(values[0])), node.output_is_list, strict=False):
        slot: list[Any] = []
        for answer in values:
            if is_list and not isinstance(answer[index], ExecutionBlocker):
                slot.extend(answer[index])
            else:
                slot.append(answer[index])
        slots.append(slot)
    return tuple(slots)


def _per_call(arguments: Arguments, whole: bool) -> Iterator[dict[str, Any]]:
    count = max((len(values) for values in arguments.values()), default=0)
    if whole:
        yield dict(arguments)
    elif count == 0:
        # All lists are empty: ComfyUI calls once, without any input.
        yield {}
    else:
        for index in range(count):
            yield {name: values[index if index < len(values) else -1] for name, values in arguments.items()}


def _blocker_in(values: Any, whole: bool) -> ExecutionBlocker | None:
    for value in values:
        for item in value if whole else (value,):
            if isinstance(item, ExecutionBlocker):
                return item
    return None


def _told(task: asyncio.Task[Any]) -> Any:
    """The answer of a call that is done; raises what it raised."""
    answer = task.result()
    if isinstance(answer, Raised):
        raise answer.error
    return answer
