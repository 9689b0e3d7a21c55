"""One node of a graph held against its declaration: its inputs, its links, its own validator (spec 2 and 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import ne
from typing import Any

from comfyserve.embedded.graph.blocker import ExecutionBlocker
from comfyserve.embedded.graph.calls import call
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.graph.dynamic_inputs import MATCH_TYPE
from comfyserve.embedded.graph.foreign import Raised, foreign_async
from comfyserve.embedded.graph.graph_view import arguments_of
from comfyserve.embedded.graph.hidden_inputs import hidden_arguments, known_before
from comfyserve.embedded.graph.node_types import InputSpec, NodeType, Schema, Validator
from comfyserve.embedded.validate.coerce import NotCoercible, Problem, check_bounds, coerce, problem, unwrap
from comfyserve.protocol.errors import NodeError

Graph = dict[str, Any]

# What an output of match type carries is known when it runs.
ANY = frozenset({"*", MATCH_TYPE})


@dataclass(frozen=True, slots=True)
class Edge:
    """A link that was followed: the input it feeds and where it comes from."""

    spec: InputSpec
    link: list[Any]

    @property
    def source(self) -> str:
        return str(self.link[0])


@dataclass(slots=True)
class Report:
    """What one node's check found. `raised` is an exception that ended the check."""

    problems: list[Problem] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    raised: BaseException | None = None


class NodeCheck:
    """Checks single nodes of one graph. Coerced values replace the given ones in the graph."""

    def __init__(self, graph: Graph, catalogue: Catalogue) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._schemas: dict[str, Schema] = {}

    async def check(self, node_id: str) -> Report:
        """Check one node without its sources; never raises, foreign exceptions end up in the report."""
        report = Report()
        # A node class, its declaration or its validator may raise anything: the protocol reports it as an entry.
        answer = await foreign_async(self._check(node_id, report))
        if isinstance(answer, Raised):
            report.raised = answer.error
        return report

    async def _check(self, node_id: str, report: Report) -> None:
        node = self._catalogue[self._graph[node_id]["class_type"]]
        inputs = self._graph[node_id]["inputs"]
        received_types: dict[str, Any] = {}
        for spec in self._specs(node, inputs):
            found = self._check_input(spec, node, inputs, report, received_types)
            if found is not None:
                report.problems.append(found)
        validator = node.validator
        if validator is not None:
            report.problems.extend(await self._ask(node_id, node, validator, inputs, received_types))

    def _check_input(
        self, spec: InputSpec, node: NodeType, inputs: dict[str, Any], report: Report, received: dict[str, Any]
    ) -> Problem | None:
        if spec.name not in inputs:
            missing = spec.category == "required"
            return problem(NodeError.REQUIRED_INPUT_MISSING, spec.name, input_name=spec.name) if missing else None
        value = inputs[spec.name]
        if isinstance(value, list):
            return self._check_link(spec, node, value, report, received)
        try:
            inputs[spec.name] = value = coerce(spec, unwrap(value))
        except NotCoercible as refusal:
            return refusal.problem
        if node.validator is not None and node.validator.covers(spec.name):
            return None
        if node.v3 and isinstance(spec.type, list):
            return None
        return check_bounds(spec, value)

    def _check_link(
        self, spec: InputSpec, node: NodeType, link: list[Any], report: Report, received: dict[str, Any]
    ) -> Problem | None:
        if not _is_pair(link):
            return problem(
                NodeError.BAD_LINKED_INPUT,
                spec.name,
                input_name=spec.name,
                input_config=spec.config,
                received_value=link,
            )
        source, slot = link
        types = self._catalogue[self._graph[source]["class_type"]].output_types
        # Python would read a negative slot from the end, which no editor means.
        if isinstance(slot, int) and not 0 <= slot < len(types):
            raise IndexError("tuple index out of range")
        given = types[slot]
        received[spec.name] = given
        skip = node.validator is not None and node.validator.checks_types
        if not skip and not types_fit(given, spec.type):
            return problem(
                NodeError.RETURN_TYPE_MISMATCH,
                f"{spec.name}, received_type({given}) mismatch input_type({spec.type})",
                input_name=spec.name,
                input_config=spec.config,
                received_type=given,
                linked_node=link,
            )
        report.edges.append(Edge(spec, link))
        return None

    async def _ask(
        self, node_id: str, node: NodeType, validator: Validator, inputs: Mapping[str, Any], received: Mapping[str, Any]
    ) -> list[Problem]:
        """What the validator says of the literals it wants to see; linked inputs are None to it."""
        schema = self._schema(node)
        given = arguments_of(inputs, schema, lambda name: schema.find(name, inputs), lambda source, slot: [None])
        given |= hidden_arguments(schema, known_before(node_id))
        arguments = {name: values for name, values in given.items() if validator.covers(name)}
        if validator.checks_types:
            arguments["input_types"] = [dict(received)]
        answers = await call(getattr(node.node_class, validator.method), arguments, whole=node.input_is_list)
        return [
            problem(
                NodeError.CUSTOM_VALIDATION_FAILED, name if answer is False else f"{name} - {answer}", input_name=name
            )
            for name in arguments
            for answer in answers
            if answer is not True and not isinstance(answer, ExecutionBlocker)
        ]

    def _specs(self, node: NodeType, inputs: Mapping[str, Any]) -> list[InputSpec]:
        """The declared inputs, and those given that an endless declaration accepts."""
        schema = self._schema(node)
        declared = list(schema.expanded(inputs))
        names = {spec.name for spec in declared}
        accepted = (schema.find(name) for name in inputs if name not in names)
        return declared + [spec for spec in accepted if spec is not None]

    def _schema(self, node: NodeType) -> Schema:
        if node.name not in self._schemas:
            self._schemas[node.name] = node.schema()
        return self._schemas[node.name]


def _is_pair(link: list[Any]) -> bool:
    """Whether a link has two plain parts; what is wrong with a plain one is told in ComfyUI's words."""
    return len(link) == 2 and not any(part is None or isinstance(part, list | dict) for part in link)


def types_fit(given: Any, wanted: Any) -> bool:
    """Whether an output of one type may feed an input of another: equal, a wildcard, or sets that meet."""
    # Some packs declare a str subclass whose comparison always answers "equal".
    if given == wanted or not ne(given, wanted):
        return True
    if isinstance(wanted, list):
        return bool(given == "COMBO")
    if not isinstance(given, str) or not isinstance(wanted, str):
        return False
    offered, accepted = _words(given), _words(wanted)
    return not ANY.isdisjoint(offered | accepted) or not offered.isdisjoint(accepted)


def _words(types: str) -> set[str]:
    return {word.strip() for word in types.split(",")}
