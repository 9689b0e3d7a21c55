"""One prompt from its first event to its last: nodes in order, expansions, errors, interruption (spec 8 and 9)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from comfyserve.embedded.cache.results import Result, ResultCache
from comfyserve.embedded.context import Interrupted, NodeContext
from comfyserve.embedded.execute.announce import Announcer
from comfyserve.embedded.execute.node_call import NodeObjects, PromptCalls
from comfyserve.embedded.execute.order import ReadyOrder
from comfyserve.embedded.execute.run_results import RunResults
from comfyserve.embedded.graph.blocker import ExecutionBlocker
from comfyserve.embedded.graph.calls import POLL_SECONDS, Answers, cancel, combine, read_answers, settle, tasks_of
from comfyserve.embedded.graph.graph_view import Arguments, GraphView
from comfyserve.embedded.graph.node_types import is_link
from comfyserve.embedded.prompts.queue import QueuedPrompt

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a prompt ended: `status_str` of its history record."""

    SUCCESS = "success"
    ERROR = "error"


@dataclass(slots=True, eq=False)
class _Failure(Exception):
    """A node that raised, with what it was given."""

    node_id: str
    error: BaseException
    inputs: Arguments


@dataclass(slots=True, eq=False)
class _Cycle(Exception):
    """Nodes are left and none is ready; one of them to name."""

    node_id: str


class Execution:
    """Runs one prompt in the worker thread. `outputs` has the UI objects, also after a failure."""

    def __init__(
        self,
        prompt: QueuedPrompt,
        view: GraphView,
        cache: ResultCache,
        objects: NodeObjects,
        announcer: Announcer,
        context: NodeContext,
    ) -> None:
        self._prompt = prompt
        self._view = view
        self._objects = objects
        self._announcer = announcer
        self._context = context
        self._calls = PromptCalls(view, prompt.extra_data, objects, context)
        self._results = RunResults(view, cache, self._calls.fingerprint)
        self._order = ReadyOrder(view, self._results.hold)
        self._executed: dict[str, None] = {}
        self._parked: dict[str, list[Any]] = {}
        self._waiters: dict[asyncio.Task[Any], str] = {}
        self._expanded: dict[str, Answers] = {}
        self._shown: dict[str, dict[str, list[Any]]] = {}
        self._current = prompt.outputs[0]

    async def run(self) -> Outcome:
        """Run to the end; failures and interruptions are announced, not raised."""
        self._announcer.started()
        try:
            await self._run()
        except Interrupted:
            self._announcer.interrupted(self._current, self._executed)
            return Outcome.ERROR
        except _Failure as failure:
            self._announcer.failed(failure.node_id, failure.error, failure.inputs, self._executed)
            return Outcome.ERROR
        except _Cycle as cycle:
            # ComfyUI says the error in an event and success in the status (spec 9, expansion).
            self._announcer.found_cycle(cycle.node_id, self._executed)
            return Outcome.SUCCESS
        # A bug of ours, or a declaration that raises (SystemExit too), costs this prompt only.
        except BaseException as error:
            logger.exception("prompt broke the executor", extra={"prompt_id": self._prompt.prompt_id})
            self._announcer.failed(self._current, error, {}, self._executed)
            return Outcome.ERROR
        finally:
            await self._cancel_tasks()
        self._announcer.succeeded()
        return Outcome.SUCCESS

    @property
    def outputs(self) -> dict[str, Mapping[str, Any]]:
        """The UI objects of all nodes that have one, of those too that the cache knows and nobody asked for."""
        found = dict(self._shown)
        for node_id in self._view.graph:
            result = None if node_id in found else self._results.get(node_id)
            if result is not None and result.ui is not None:
                found[node_id] = result.ui
        known = [*self._view.graph, *self._view.nodes.ephemeral_prompt]
        return {node_id: found[node_id] for node_id in known if node_id in found}

    async def _run(self) -> None:
        self._objects.begin(self._view)
        self._announcer.cached(await self._results.begin())
        for output in self._prompt.outputs:
            self._current = output
            self._order.add(output)
        while len(self._order):
            node_id = self._order.pick()
            if node_id is not None:
                await self._step(node_id)
            elif not self._waiters:
                raise _Cycle(self._blamed())
            if self._waiters:
                await self._look_at_tasks(wait=node_id is None)

    async def _step(self, node_id: str) -> None:
        """Bring one node forward: take its cached result, run it, or find what it waits for."""
        self._current = node_id
        arguments: Arguments = {}
        # A node may raise anything, SystemExit included; it ends its prompt and never the worker.
        try:
            if (result := self._results.get(node_id)) is not None:
                self._take_cached(node_id, result)
            elif node_id in self._parked:
                await self._finish(node_id, await settle(self._parked.pop(node_id)))
            elif node_id in self._expanded:
                self._complete(node_id, self._resolve(self._expanded.pop(node_id)))
            else:
                self._announcer.node_started(node_id)
                arguments = self._calls.arguments(node_id, self._results)
                await self._start(node_id, arguments)
        except Interrupted:
            raise
        except BaseException as error:
            raise _Failure(node_id, error, arguments) from error

    async def _start(self, node_id: str, arguments: Arguments) -> None:
        wanted = await self._calls.wanted(node_id, arguments, self._results)
        if wanted:
            for source in wanted:
                self._order.require(node_id, source)
            self._order.put_back(node_id)
            return
        answers = await self._calls.start(node_id, arguments, lambda block: self._block(node_id, block))
        tasks = [task for task in tasks_of(answers) if not task.done()]
        if not tasks:
            await self._finish(node_id, await settle(answers))
            return
        self._parked[node_id] = answers
        self._waiters[asyncio.create_task(_all_done(tasks))] = node_id

    async def _finish(self, node_id: str, given: Sequence[Any]) -> None:
        """The calls have answered: with values, or with nodes to run first."""
        node = self._view.type_of(node_id)
        answers = read_answers(node, given)
        if answers.ui is not None:
            # Raises for what JSON cannot tell (a circle, a huge number): the history would fail on it for good.
            json.dumps(answers.ui, default=str)
            self._shown[node_id] = answers.ui
            self._announcer.node_output(node_id, answers.ui)
        if answers.expands:
            await self._expand(node_id, answers)
        else:
            self._complete(node_id, answers.values)

    async def _expand(self, node_id: str, answers: Answers) -> None:
        added: list[str] = []
        for graph in answers.graphs:
            if graph is not None:
                self._view.nodes.add_expansion(graph, node_id)
                added.extend(graph)
        await self._results.expand(node_id, added)
        for new in added:
            if self._view.is_output(new):
                self._order.add(new)
        for graph, values in zip(answers.graphs, answers.values, strict=True):
            for value in values if graph is not None else ():
                if is_link(value):
                    self._order.require(node_id, value[0])
        self._expanded[node_id] = answers
        self._order.put_back(node_id)

    def _resolve(self, answers: Answers) -> list[Any]:
        """The values of an expanded node: its links replaced by what the added nodes gave."""
        return [
            values if graph is None else tuple(found for value in values for found in self._linked(value))
            for graph, values in zip(answers.graphs, answers.values, strict=True)
        ]

    def _linked(self, value: Any) -> list[Any]:
        if not is_link(value):
            return [value]
        result = self._results.get(value[0])
        return list(result.outputs[value[1]]) if result is not None else [None]

    def _complete(self, node_id: str, values: Sequence[Any]) -> None:
        result = Result(combine(self._view.type_of(node_id), values), self._shown.get(node_id))
        self._results.put(node_id, result)
        self._executed[node_id] = None
        self._announcer.node_finished(node_id)
        self._results.release(self._order.complete(node_id))

    def _take_cached(self, node_id: str, result: Result) -> None:
        if result.ui is not None:
            self._shown[node_id] = result.ui
        self._results.hold(node_id)
        self._announcer.node_output(node_id, result.ui)
        self._announcer.node_finished(node_id)
        self._results.release(self._order.complete(node_id))

    def _block(self, node_id: str, block: ExecutionBlocker) -> ExecutionBlocker:
        """A call that is not made: a message is told once, what follows is silent."""
        if block.message is None:
            return block
        self._announcer.blocked(node_id, block.message, self._executed)
        return ExecutionBlocker(None)

    async def _look_at_tasks(self, *, wait: bool) -> None:
        """Let asynchronous nodes go on; those whose calls have all answered are ready again."""
        await asyncio.sleep(0)
        if wait:
            await asyncio.wait(self._waiters, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for waiter in [waiter for waiter in self._waiters if waiter.done()]:
            self._order.put_back(self._waiters.pop(waiter))
        if wait and self._waiters:
            self._current = next(iter(self._waiters.values()))
            self._context.check_interrupted()

    def _blamed(self) -> str:
        """The first node of the cycle; if expansions made it, the one that shows them."""
        left = list(self._order)
        shown = ((node_id, self._view.nodes.get_display_node_id(node_id)) for node_id in left)
        return next((display for node_id, display in shown if display != node_id), left[0])

    async def _cancel_tasks(self) -> None:
        parked = [task for answers in self._parked.values() for task in tasks_of(answers)]
        await cancel([*parked, *self._waiters])


async def _all_done(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks)
