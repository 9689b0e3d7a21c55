"""One node of a running prompt: what it gets, whether it changed, which lazy inputs it wants, and its call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfyserve.embedded.context import Interrupted, NodeContext, activate
from comfyserve.embedded.execute.run_results import RunResults
from comfyserve.embedded.graph.calls import Blocked, call, start_calls
from comfyserve.embedded.graph.graph_builder import begin_call
from comfyserve.embedded.graph.graph_view import Arguments, GraphView
from comfyserve.embedded.graph.hidden_inputs import hidden_arguments, hidden_values, known_before
from comfyserve.embedded.graph.node_types import NodeType, is_link
from comfyserve.embedded.graph.run_errors import NodeInputError

NEVER_THE_SAME = float("nan")


class NodeObjects:
    """Node instances, kept per (node id, class) as long as the prompts that follow have the node."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Any] = {}
        self._used: set[tuple[str, str]] = set()

    def get(self, node_id: str, node: NodeType) -> Any:
        """The instance, made when there is none."""
        key = (node_id, node.name)
        self._used.add(key)
        if key not in self._objects:
            self._objects[key] = node.node_class()
        return self._objects[key]

    def begin(self, view: GraphView) -> None:
        """Drop the objects of nodes that the prompt does not have, and of expansions that the last one did not use."""
        wanted = {(node_id, view.type_of(node_id).name) for node_id in view.graph}
        wanted |= {key for key in self._used if key[0].partition(".")[0] in view.graph and key[0] not in view.graph}
        self._objects = {key: value for key, value in self._objects.items() if key in wanted}
        self._used = set()

    def clear(self) -> None:
        self._objects.clear()


class PromptCalls:
    """Calls the nodes of one prompt."""

    def __init__(
        self, view: GraphView, extra_data: Mapping[str, Any], objects: NodeObjects, context: NodeContext
    ) -> None:
        self._view = view
        self._extra_data = extra_data
        self._objects = objects
        self._context = context

    def arguments(self, node_id: str, results: RunResults) -> Arguments:
        """The values of all inputs; a link without a result, or to a slot that its source did not give, is None."""

        def values(source: str, slot: int) -> list[Any]:
            result = results.get(source)
            return [None] if result is None or slot >= len(result.outputs) else result.outputs[slot]

        arguments = self._view.arguments(node_id, values)
        kinds = hidden_values(node_id, self._view.graph, self._view.nodes, self._extra_data)
        return arguments | hidden_arguments(self._view.schema(node_id), kinds)

    async def fingerprint(self, node_id: str) -> Any:
        """What IS_CHANGED says, asked with literals only; an exception never matches. Raises Interrupted."""
        node = self._view.type_of(node_id)
        self._enter(node_id, 0)
        # Foreign code: whatever it raises means "run me", as in ComfyUI; SystemExit must not end the worker.
        try:
            function = getattr(node.node_class, str(node.fingerprint))
            literals = self._view.arguments(node_id, lambda source, slot: [None])
            literals |= hidden_arguments(self._view.schema(node_id), known_before(node_id))
            return await call(function, literals, whole=node.input_is_list, check=self._context.check_interrupted)
        except Interrupted:
            raise
        except BaseException:
            return NEVER_THE_SAME

    async def wanted(self, node_id: str, arguments: Arguments, results: RunResults) -> list[str]:
        """The sources that the node needs before it can run, as its check_lazy_status says. Raises NodeInputError."""
        node = self._view.type_of(node_id)
        if not node.lazy:
            return []
        function = self._objects.get(node_id, node).check_lazy_status
        answers = await call(
            function,
            arguments,
            whole=node.input_is_list,
            before=lambda index: self._enter(node_id, index),
            check=self._context.check_interrupted,
        )
        names = dict.fromkeys(
            name for answer in answers if isinstance(answer, list) for name in answer if type(name) is str
        )
        given = self._view.given(node_id)
        sources = [self._source(node_id, name, given) for name in names if name not in arguments or name in given]
        return [source for source in sources if source is not None and results.get(source) is None]

    async def start(self, node_id: str, arguments: Arguments, blocked: Blocked) -> list[Any]:
        """The answers of the node's function; asynchronous ones may be tasks."""
        node = self._view.type_of(node_id)
        function = getattr(self._objects.get(node_id, node), node.function)
        return await start_calls(
            function,
            node.prepare(arguments),
            whole=node.input_is_list,
            before=lambda index: self._enter(node_id, index),
            blocked=blocked,
        )

    def _source(self, node_id: str, name: Any, given: Mapping[str, Any]) -> str | None:
        """Where a wanted input comes from; None for a literal, which the node has already."""
        if name not in given:
            raise NodeInputError(f"Node {node_id} wants its input {name!r}, which is not connected")
        value = given[name]
        if is_link(value):
            return str(value[0])
        if self._view.schema(node_id).find(name, given) is None:
            raise NodeInputError(f"Node {node_id} wants its input {name!r}, which is a constant")
        return None

    def _enter(self, node_id: str, index: int) -> None:
        """A call begins; raises Interrupted."""
        self._context.check_interrupted()
        activate(replace(self._context, node_id=node_id, index=index))
        begin_call(node_id, index)
