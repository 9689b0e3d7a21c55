"""A whole graph before it is queued: which outputs may run, and what is wrong with the others (spec 2 and 9)."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from comfyserve.embedded.catalogue import Catalogue
from comfyserve.embedded.coerce import Problem, problem
from comfyserve.embedded.node_check import Edge, Graph, NodeCheck, Report
from comfyserve.protocol.errors import (
    MISSING_CLASS_TYPE,
    NODE_MESSAGES,
    PROMPT_MESSAGES,
    UNKNOWN_CLASS,
    NodeError,
    PromptError,
)

Answer = dict[str, Any]


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
    """Visits every ancestor of the outputs once, without recursion: a graph may be deep."""

    def __init__(self, graph: Graph, catalogue: Catalogue) -> None:
        self._graph = graph
        self._check = NodeCheck(graph, catalogue)
        self._reports: dict[str, Report] = {}
        self._done: set[str] = set()

    async def add(self, output: str) -> None:
        """Check the output and all that feeds it."""
        if output in self._done:
            return
        path: set[str] = set()
        stack = [(output, iter(await self._visit(output, None)))]
        path.add(output)
        while stack:
            node_id, edges = stack[-1]
            edge = next(edges, None)
            if edge is None:
                stack.pop()
                path.discard(node_id)
                self._done.add(node_id)
            elif edge.source in path:
                self._report_cycle(node_id, edge, [entry for entry, _ in stack])
            elif edge.source not in self._done:
                path.add(edge.source)
                stack.append((edge.source, iter(await self._visit(edge.source, edge))))

    def verdict(self, outputs: list[str]) -> Verdict:
        """Outputs without a fault behind them may run; the faults are listed with the outputs that depend on them."""
        verdict = Verdict()
        lines: list[str] = []
        for output in outputs:
            faulty = [node_id for node_id in self._ancestors(output) if self._reports[node_id].problems]
            if not faulty:
                verdict.outputs.append(output)
                continue
            lines += [f"{found['message']}: {found['details']}" for found in self._reports[output].problems]
            for node_id in faulty:
                self._entry(verdict, node_id)["dependent_outputs"].append(output)
        if not verdict.outputs:
            message = PROMPT_MESSAGES[PromptError.OUTPUTS_FAILED]
            verdict.error = prompt_error(PromptError.OUTPUTS_FAILED, message, "\n".join(lines))
        return verdict

    async def _visit(self, node_id: str, via: Edge | None) -> list[Edge]:
        report = await self._check.check(node_id)
        if report.raised is not None:
            report.problems = [_exception(report.raised, via)]
            report.edges = []
        self._reports[node_id] = report
        return report.edges

    def _report_cycle(self, node_id: str, edge: Edge, path: list[str]) -> None:
        loop = [*path[path.index(edge.source) :], edge.source]
        found = problem(
            NodeError.DEPENDENCY_CYCLE,
            " -> ".join(reversed(loop)),
            input_name=edge.spec.name,
            linked_node=edge.link,
        )
        self._reports[node_id].problems.append(found)

    def _ancestors(self, output: str) -> list[str]:
        seen = {output: None}
        waiting = [output]
        while waiting:
            for edge in self._reports[waiting.pop()].edges:
                if edge.source not in seen:
                    seen[edge.source] = None
                    waiting.append(edge.source)
        return list(seen)

    def _entry(self, verdict: Verdict, node_id: str) -> Answer:
        return verdict.node_errors.setdefault(
            node_id,
            {
                "errors": self._reports[node_id].problems,
                "dependent_outputs": [],
                "class_type": self._graph[node_id]["class_type"],
            },
        )


def _exception(error: Exception, via: Edge | None) -> Problem:
    described: dict[str, Any] = {
        "exception_type": type_name(error),
        "traceback": traceback.format_tb(error.__traceback__),
    }
    if via is None:
        return problem(NodeError.EXCEPTION, str(error), **described)
    return problem(
        NodeError.EXCEPTION_INNER,
        str(error),
        NODE_MESSAGES[NodeError.EXCEPTION_INNER],
        input_name=via.spec.name,
        input_config=via.spec.config,
        exception_message=str(error),
        linked_node=via.link,
        **described,
    )


def type_name(error: BaseException) -> str:
    """The bare name of a builtin exception, else its dotted path."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
