"""Put a caller's values into a graph (external-nodes.md section 4, Injection; comfydeploy.md 3.1.3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from comfyserve.core.catalogue import Catalogue, field_spec
from comfyserve.core.errors import InvalidInput
from comfyserve.core.graph import Graph, Node
from comfyserve.core.inputs.accept import accept, list_words, not_given, refused
from comfyserve.core.inputs.coerce import Misfit, as_text, coerce, shown
from comfyserve.core.inputs.declare import Input
from comfyserve.core.inputs.externals import EXTERNALS, INPUT_ID, External, Kind
from comfyserve.core.inputs.names import unknown_name, unknown_sentence
from comfyserve.core.inputs.plain import plain_input
from comfyserve.core.inputs.seeds import Draw, settle_seeds
from comfyserve.core.media import INPUT_ID_META, MediaPlace, check_media_names, is_outside, media_places
from comfyserve.core.models import check_model_names

MAX_VALUES = 1_000
MAX_NOTICES = 20
UNKNOWN_INPUT = "unknown_input"
CHECKED = frozenset({Kind.TEXT, Kind.CHOICE, Kind.MODEL, Kind.COLOR})
"""Kinds whose outputs may feed a choice of the engine."""

Uses = Mapping[str, Sequence[tuple[str, str]]]
"""Node id -> the fields (node id, name) that take its value."""


@dataclass(frozen=True)
class Notice:
    """Something the caller should know about a run that goes on all the same."""

    code: str
    message: str


@dataclass(frozen=True)
class Bound:
    """A graph with its values, ready to be stored. `media` are the files in it, labelled with their public names;
    `seeds` are the numbers that were drawn for External Seed nodes."""

    graph: Graph
    warnings: tuple[Notice, ...] = ()
    media: tuple[MediaPlace, ...] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)


def bind(
    graph: Graph,
    inputs: Iterable[Input],
    values: Mapping[str, Any],
    *,
    catalogue: Catalogue | None = None,
    unknown: Literal["refuse", "report"] = "refuse",
    draw: Draw | None = None,
) -> Bound:
    """The graph with the values in every node that wants them; what is not given keeps its default.

    Values match the declared names first, then `<node id>.<field>`. All names are read from `graph` as it is given,
    so a value that equals another input's name does not spread. Raises InvalidInput with the input's name as
    `place.field`: wrong type, out of range, not among the choices (also those of the engine's node that the value
    feeds, if the catalogue is known), or an unknown name unless it is to be reported. Raises it also for a file,
    a folder or a model in the graph whose name leads out of the engine's folders.
    """
    if len(values) > MAX_VALUES:
        raise InvalidInput(f"{len(values)} inputs were given; at most {MAX_VALUES} are allowed.")
    known = {one.id: one for one in inputs}
    chosen, warnings = _match(graph, known, values, catalogue, unknown)
    changes: dict[str, dict[str, Any]] = {}
    uses = _uses(graph) if catalogue is not None else {}
    for one, value in chosen:
        accepted = accept(one, value)
        _check_uses(graph, one, accepted, catalogue, uses)
        for node_id in one.node_ids:
            changes.setdefault(node_id, {}).update(_written(one, graph.nodes[node_id], accepted))
    bound = _named(graph, [*known.values(), *(one for one, _ in chosen)]).with_inputs(changes)
    seeds: Mapping[str, int] = {}
    if draw is not None:
        bound, seeds = settle_seeds(bound, draw)
    check_media_names(bound, catalogue)
    check_model_names(bound)
    return Bound(bound, warnings, tuple(media_places(bound, catalogue)), seeds)


def _named(graph: Graph, inputs: Iterable[Input]) -> Graph:
    """The graph with the public names kept beside the nodes, since values take their place in the inputs."""
    names = {node_id: one.id for one in inputs for node_id in one.node_ids}
    named = {
        node_id: replace(graph.nodes[node_id], meta={**graph.nodes[node_id].meta, INPUT_ID_META: name})
        for node_id, name in names.items()
    }
    return Graph({**graph.nodes, **named})


def _match(
    graph: Graph,
    known: Mapping[str, Input],
    values: Mapping[str, Any],
    catalogue: Catalogue | None,
    unknown: Literal["refuse", "report"],
) -> tuple[list[tuple[Input, Any]], tuple[Notice, ...]]:
    """The inputs with the values they get, and notices about names that nobody has."""
    chosen = [
        (one, one.default) for one in known.values() if one.from_deployment and not_given(one, values.get(one.id))
    ]
    strangers = []
    for name, value in values.items():
        one = known.get(name) or plain_input(graph, name, catalogue)
        if one is None and unknown == "refuse":
            raise unknown_name(name, known)
        if one is None:
            strangers.append(name)
        elif not not_given(one, value):
            chosen.append((one, value))
    return chosen, _notices(strangers, known)


def _notices(names: Sequence[str], known: Mapping[str, Input]) -> tuple[Notice, ...]:
    told = [f"{unknown_sentence(name, known)} It was ignored." for name in names[:MAX_NOTICES]]
    if len(names) > MAX_NOTICES:
        told.append(f"{len(names) - MAX_NOTICES} more unknown inputs were ignored.")
    return tuple(Notice(UNKNOWN_INPUT, sentence) for sentence in told)


def _written(one: Input, node: Node, value: Any) -> dict[str, Any]:
    """The fields of one node that a value changes."""
    external = EXTERNALS.get(node.class_type)
    if external is None or one.field != INPUT_ID:
        return {one.field: as_text(value) if one.kind is Kind.IMAGES else value}
    if external.realtime:
        raise refused(one, "is fed by a realtime session; it cannot be set for a run")
    value = _converted(one, external, value)
    typed = as_text(value) if external.kind is Kind.IMAGES else value
    return {INPUT_ID: as_text(value)} | dict.fromkeys(external.receives, typed) | dict.fromkeys(external.fallbacks, "")


def _converted(one: Input, external: External, value: Any) -> Any:
    """The value for a node whose class is not that of the input's first node, although they share a name."""
    if external.kind is one.kind:
        return value
    try:
        return coerce(external.kind, value)
    except Misfit as reason:
        raise refused(one, f"also feeds a node of kind {external.kind}: it {reason}") from None


def _uses(graph: Graph) -> Uses:
    """Which fields each External node feeds, besides its own list of files."""
    uses: dict[str, list[tuple[str, str]]] = {}
    for node_id, node in graph.nodes.items():
        external = EXTERNALS.get(node.class_type)
        if external and external.combo:
            uses.setdefault(node_id, []).append((node_id, external.combo))
        for name, link in node.links():
            uses.setdefault(link.node_id, []).append((node_id, name))
    return uses


def _check_uses(graph: Graph, one: Input, value: Any, catalogue: Catalogue | None, uses: Uses) -> None:
    """Raise InvalidInput when the value feeds a choice that does not have it."""
    if catalogue is None or one.kind not in CHECKED or one.field != INPUT_ID:
        return
    if one.kind is Kind.MODEL and is_outside(value):
        return
    for source in one.node_ids:
        for node_id, name in uses.get(source, ()):
            _check_choice(graph, one, value, catalogue, node_id, name)


def _check_choice(graph: Graph, one: Input, value: Any, catalogue: Catalogue, node_id: str, name: str) -> None:
    node = graph.nodes[node_id]
    spec = field_spec(catalogue, node.class_type, name)
    if spec is None or spec.choices is None or any(as_text(choice) == as_text(value) for choice in spec.choices):
        return
    raise refused(
        one,
        f"feeds {name} of node {node_id} ({node.class_type}), which has no {shown(value)}."
        f" It has: {list_words(spec.choices) or 'nothing'}",
    )
