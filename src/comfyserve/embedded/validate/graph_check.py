"""A whole graph before it is queued: which outputs may run, and what is wrong with the others (spec 2 and 9)."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.graph.foreign import text_of
from comfyserve.embedded.graph.run_errors import full_type_name
from comfyserve.embedded.validate.coerce import Problem, problem
from comfyserve.embedded.validate.node_check import Edge, Graph, NodeCheck, Report
from comfyserve.protocol.errors import (
    MISSING_CLASS_TYPE,
    NODE_MESSAGES,
    PROMPT_MESSAGES,
    UNKNOWN_CLASS,
    NodeError,
    PromptError,
)

Answer = dict[str, Any]

REPORTED_NODES = 1000
REPORTED_OUTPUTS = 100
SHOWN_NODES = 20
"""So many faulty nodes are told, each with so many outputs that depend on it; a cycle by so many of its nodes."""
NODES_PER_TURN = 250


@dataclass(slots=True)
class Verdict:
    """`error` is None when at least one output may run; `node_errors` may be filled all the same."""

    error: Answer | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Answer] = field(default_factory=dict)


def prompt_error(kind: PromptError, message: str, details: str = "") -> Answer:
    """The `error` object of a 400 answer."""
    return {"type": str(kind), "message": message, "details": details, "extra_info": {}}


async def validate(graph: Graph, catalogue: Catalogue, targets: Collection[str] | None = None) -> Verdict:
    """Check a graph; coerced values replace the given ones in place. `targets` limits the outputs."""
    refusal = _classes_known(graph, catalogue)
    if refusal is not None:
        return Verdict(error=refusal)
    outputs = [
        node_id
        for node_id, node in graph.items()
        if catalogue[node["class_type"]].is_output and (targets is None or node_id in targets)
    ]
    if not outputs:
        return Verdict(error=prompt_error(PromptError.NO_OUTPUTS, PROMPT_MESSAGES[PromptError.NO_OUTPUTS]))
    walk = _Walk(graph, catalogue)
    for output in outputs:
        await walk.add(output)
    return walk.verdict(outputs)


def _classes_known(graph: Graph, catalogue: Catalogue) -> Answer | None:
    for node_id, node in graph.items():
        details = f"Node ID '#{node_id}'"
        if not isinstance(node, dict) or "class_type" not in node:
            return prompt_error(PromptError.INVALID_PROMPT, MISSING_CLASS_TYPE, details)
        class_type = node["class_type"]
        if not isinstance(class_type, str) or class_type not in catalogue:
            return prompt_error(PromptError.INVALID_PROMPT, UNKNOWN_CLASS.format(class_type=class_type), details)
    return None


class _Walk:
    """Visits every ancestor of the outputs once, without recursion: a graph may be deep, and wide."""

    def __init__(self, graph: Graph, catalogue: Catalogue) -> None:
        self._graph = graph
        self._check = NodeCheck(graph, catalogue)
        self._reports: dict[str, Report] = {}
        self._sound: dict[str, bool] = {}
        """The nodes that are done, sources first: whether neither they nor what feeds them has a fault."""

    async def add(self, output: str) -> None:
        """Check the output and all that feeds it."""
        if output in self._sound:
            return
        stack = [(output, iter(await self._visit(output, None)))]
        path = {output: 0}
        while stack:
            node_id, edges = stack[-1]
            edge = next(edges, None)
            if edge is None:
                stack.pop()
                del path[node_id]
                self._conclude(node_id)
            elif edge.source in path:
                self._report_cycle(node_id, edge, [entry for entry, _ in stack[path[edge.source] :][:SHOWN_NODES]])
            elif edge.source not in self._sound:
                path[edge.source] = len(stack)
                stack.append((edge.source, iter(await self._visit(edge.source, edge))))

    def verdict(self, outputs: list[str]) -> Verdict:
        """Outputs without a fault behind them may run; the faults are listed with the outputs that depend on them."""
        sound = [output for output in outputs if self._sound[output]]
        broken = [output for output in outputs if not self._sound[output]]
        verdict = Verdict(outputs=sound)
        dependents = self._dependents(broken)
        faulty = [node_id for node_id in self._sound if self._reports[node_id].problems and node_id in dependents]
        for node_id in faulty[:REPORTED_NODES]:
            verdict.node_errors[node_id] = {
                "errors": self._reports[node_id].problems,
                "dependent_outputs": list(dependents[node_id]),
                "class_type": self._graph[node_id]["class_type"],
            }
        if not sound:
            lines = [
                f"{found['message']}: {found['details']}"
                for output in broken[:REPORTED_NODES]
                for found in self._reports[output].problems
            ]
            message = PROMPT_MESSAGES[PromptError.OUTPUTS_FAILED]
            verdict.error = prompt_error(PromptError.OUTPUTS_FAILED, message, "\n".join(lines))
        return verdict

    async def _visit(self, node_id: str, via: Edge | None) -> list[Edge]:
        report = await self._check.check(node_id)
        if report.raised is not None:
            report.problems = [_exception(report.raised, via)]
            report.edges = []
        self._reports[node_id] = report
        # A large graph must not keep other callers waiting.
        if len(self._reports) % NODES_PER_TURN == 0:
            await asyncio.sleep(0)
        return report.edges

    def _conclude(self, node_id: str) -> None:
        """All that feeds the node is done. A source that is not is part of a cycle, which its report tells."""
        report = self._reports[node_id]
        self._sound[node_id] = not report.problems and all(self._sound.get(edge.source) for edge in report.edges)

    def _report_cycle(self, node_id: str, edge: Edge, loop: list[str]) -> None:
        shown = [node_id, *reversed(loop)] if len(loop) == SHOWN_NODES else [*reversed([*loop, edge.source])]
        found = problem(
            NodeError.DEPENDENCY_CYCLE,
            " -> ".join(shown),
            input_name=edge.spec.name,
            linked_node=edge.link,
        )
        self._reports[node_id].problems.append(found)

    def _dependents(self, outputs: list[str]) -> dict[str, dict[str, None]]:
        """Node -> the first outputs that depend on it, consumers before what feeds them."""
        found: dict[str, dict[str, None]] = {output: {output: None} for output in outputs}
        for node_id in reversed(self._sound):
            mine = found.get(node_id, {})
            for edge in self._reports[node_id].edges if mine else ():
                theirs = found.setdefault(edge.source, {})
                for output in mine if len(theirs) < REPORTED_OUTPUTS else ():
                    theirs[output] = None
        return found


def _exception(error: BaseException, via: Edge | None) -> Problem:
    described: dict[str, Any] = {
        "exception_type": full_type_name(type(error)),
        "traceback": traceback.format_tb(error.__traceback__),
    }
    if via is None:
        return problem(NodeError.EXCEPTION, text_of(error), **described)
    return problem(
        NodeError.EXCEPTION_INNER,
        text_of(error),
        NODE_MESSAGES[NodeError.EXCEPTION_INNER],
        input_name=via.spec.name,
        input_config=via.spec.config,
        exception_message=text_of(error),
        linked_node=via.link,
        **described,
    )
