"""One prompt from its first event to its last: nodes in order, cached results, errors, interruption (spec 8 and 9)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from comfyserve.embedded.announce import Announcer
from comfyserve.embedded.cache import Result, ResultCache, Signature, signatures
from comfyserve.embedded.calls import Arguments, call, combine
from comfyserve.embedded.context import Interrupted, NodeContext, activate
from comfyserve.embedded.graph_view import GraphView
from comfyserve.embedded.node_types import NodeType, is_link
from comfyserve.embedded.order import ReadyOrder
from comfyserve.embedded.queue import QueuedPrompt

logger = logging.getLogger(__name__)

ASYNC_POLL_SECONDS = 0.1
"""How often an interruption is looked for while only asynchronous nodes are under way."""


class Outcome(StrEnum):
    """How a prompt ended: `status_str` of its history record."""

    SUCCESS = "success"
    ERROR = "error"


class NodeObjects:
    """Node instances, kept per (node id, class) from prompt to prompt."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Any] = {}

    def get(self, node_id: str, node: NodeType) -> Any:
        key = (node_id, node.name)
        if key not in self._objects:
            self._objects[key] = node.node_class()
        return self._objects[key]

    def keep_only(self, view: GraphView) -> None:
        """Drop the objects of nodes that the prompt does not have."""
        wanted = {(node_id, view.type_of(node_id).name) for node_id in view.graph}
        self._objects = {key: value for key, value in self._objects.items() if key in wanted}


@dataclass(slots=True, eq=False)
class _Failure(Exception):
    """A node that raised, with what it was given."""

    node_id: str
    error: BaseException
    inputs: Arguments


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
        self._cache = cache
        self._objects = objects
        self._announcer = announcer
        self._context = context
        self._signatures: dict[str, Signature] = {}
        self._executed: dict[str, None] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._current = prompt.outputs[0]
        self.outputs: dict[str, Mapping[str, Any]] = {}

    async def run(self) -> Outcome:
        """Run to the end; failures and interruptions are announced, not raised."""
        self._announcer.started()
        try:
            await self._run()
        except Interrupted:
            self._announcer.interrupted(self._current, self._type_name(self._current), self._executed)
            return Outcome.ERROR
        except _Failure as failure:
            self._report(failure)
            return Outcome.ERROR
        # A bug of ours, or a declaration that raises, costs this prompt only.
        except Exception as error:
            logger.exception("prompt broke the executor", extra={"prompt_id": self._prompt.prompt_id})
            self._report(_Failure(self._current, error, {}))
            return Outcome.ERROR
        finally:
            await self._cancel_tasks()
        self._announcer.succeeded()
        return Outcome.SUCCESS

    async def _run(self) -> None:
        self._objects.keep_only(self._view)
        self._signatures = signatures(self._view, await self._fingerprints())
        self._cache.keep_only(self._signatures.values())
        self._announcer.cached([node_id for node_id in self._view.graph if self._is_done(node_id)])
        order = ReadyOrder(self._view, self._is_done)
        for output in self._prompt.outputs:
            order.add(output)
        while len(order):
            node_id = order.pick()
            if node_id is not None:
                await self._start(node_id, order)
            elif self._tasks:
                await self._wait_for_task()
            else:
                raise _Failure(order.first_left(), order.cycle_error(), {})

    async def _start(self, node_id: str, order: ReadyOrder) -> None:
        if self._view.type_of(node_id).is_async and not self._is_done(node_id):
            self._tasks[asyncio.create_task(self._step(node_id, order))] = node_id
            await asyncio.sleep(0)
        else:
            await self._step(node_id, order)

    async def _wait_for_task(self) -> None:
        done, _ = await asyncio.wait(self._tasks, timeout=ASYNC_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._tasks[task]
            await task
        self._check(next(iter(self._tasks.values()), self._current))

    async def _step(self, node_id: str, order: ReadyOrder) -> None:
        """Bring one node forward: take its cached result, run it, or find what it waits for."""
        result = self._result(node_id)
        if result is None:
            result = await self._execute(node_id, order)
            if result is None:
                order.put_back(node_id)
                return
            self._cache.put(self._signatures[node_id], result)
            self._executed[node_id] = None
            if result.ui is not None:
                self._announcer.node_output(node_id, result.ui)
        elif self._view.is_output(node_id):
            self._announcer.node_output(node_id, result.ui)
        if result.ui is not None:
            self.outputs[node_id] = result.ui
        self._announcer.node_finished(node_id)
        order.complete(node_id)

    async def _execute(self, node_id: str, order: ReadyOrder) -> Result | None:
        """The node's result; None when it asked for lazy inputs first."""
        self._check(node_id)
        node = self._view.type_of(node_id)
        self._announcer.node_started(node_id)
        activate(self._context_of(node_id))
        arguments: Arguments = {}
        # A node may raise anything, SystemExit included; it ends its prompt and never the worker.
        try:
            arguments = self._arguments(node_id)
            target = self._objects.get(node_id, node)
            if node.lazy and await self._ask_lazy(node_id, node, target, arguments, order):
                return None
            function = getattr(target, node.function)
            check = self._context.check_interrupted
            return combine(node, await call(function, arguments, whole=node.input_is_list, check=check))
        except (Interrupted, asyncio.CancelledError):
            self._current = node_id
            raise
        except (Exception, SystemExit) as error:
            raise _Failure(node_id, error, arguments) from error

    async def _ask_lazy(
        self, node_id: str, node: NodeType, target: Any, arguments: Arguments, order: ReadyOrder
    ) -> bool:
        """Whether the node waits for more; its lazy links then became real ones."""
        answers = await call(
            target.check_lazy_status,
            arguments,
            whole=node.input_is_list,
            check=self._context.check_interrupted,
        )
        inputs = self._view.graph[node_id]["inputs"]
        needed = {name for answer in answers for name in answer or () if name in self._missing(node_id)}
        for answer in answers:
            for name in answer or ():
                if not is_link(inputs.get(name)):
                    raise ValueError(f"check_lazy_status of {node.name} asks for {name!r}, which is not a link")
        for name in needed:
            order.require(node_id, inputs[name][0])
        return bool(needed)

    def _missing(self, node_id: str) -> set[str]:
        return {
            spec.name
            for spec, value in self._view.inputs(node_id)
            if is_link(value) and not spec.raw_link and self._result(value[0]) is None
        }

    def _arguments(self, node_id: str) -> Arguments:
        """The values of the declared inputs; a lazy link without a result is None."""
        arguments: Arguments = {}
        for spec, value in self._view.inputs(node_id):
            if not is_link(value) or spec.raw_link:
                arguments[spec.name] = [value]
                continue
            result = self._result(value[0])
            arguments[spec.name] = [None] if result is None else result.outputs[value[1]]
        arguments.update(self._hidden(node_id))
        return arguments

    def _hidden(self, node_id: str) -> Iterator[tuple[str, list[Any]]]:
        extra = self._prompt.extra_data
        values = {
            "PROMPT": self._prompt.graph,
            "DYNPROMPT": self._view,
            "EXTRA_PNGINFO": extra.get("extra_pnginfo"),
            "UNIQUE_ID": node_id,
            "AUTH_TOKEN_COMFY_ORG": extra.get("auth_token_comfy_org"),
            "API_KEY_COMFY_ORG": extra.get("api_key_comfy_org"),
        }
        for name, kind in self._view.schema(node_id).hidden.items():
            word = kind[0] if isinstance(kind, (tuple, list)) else kind
            if word in values:
                yield name, [values[word]]

    async def _fingerprints(self) -> dict[str, Any]:
        """What IS_CHANGED says of each node that has it, asked once with literals only; an exception never matches."""
        changed: dict[str, Any] = {}
        for node_id in self._view.graph:
            node = self._view.type_of(node_id)
            if node.fingerprint is None:
                continue
            activate(self._context_of(node_id))
            function = getattr(node.node_class, node.fingerprint)
            # Foreign code: whatever it raises means "run me", as in ComfyUI.
            try:
                literals = self._literals(node_id)
                answers = await call(function, literals, whole=node.input_is_list, check=lambda: None)
                changed[node_id] = answers
            except Exception:
                changed[node_id] = float("nan")
        return changed

    def _literals(self, node_id: str) -> Arguments:
        literals = {spec.name: [None if is_link(value) else value] for spec, value in self._view.inputs(node_id)}
        literals.update(self._hidden(node_id))
        return literals

    def _result(self, node_id: str) -> Result | None:
        signature = self._signatures.get(node_id)
        return None if signature is None else self._cache.get(signature)

    def _is_done(self, node_id: str) -> bool:
        return self._result(node_id) is not None

    def _context_of(self, node_id: str) -> NodeContext:
        return replace(self._context, node_id=node_id)

    def _check(self, node_id: str) -> None:
        self._current = node_id
        self._context.check_interrupted()

    def _type_name(self, node_id: str) -> str:
        return str(self._view.graph[node_id]["class_type"])

    def _report(self, failure: _Failure) -> None:
        known = [node_id for node_id in self._view.graph if self._is_done(node_id)]
        node_type = self._type_name(failure.node_id)
        self._announcer.failed(failure.node_id, node_type, failure.error, failure.inputs, self._executed, known)

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
