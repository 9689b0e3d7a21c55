"""The files that a graph names, and where."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyserve.core.addresses import is_outside
from comfyserve.core.catalogue import Catalogue
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.file_names import check_address, check_name
from comfyserve.core.graph import Graph, Node
from comfyserve.core.media.fields import MediaFields, MediaKind, media_fields

INPUT_ID_META = "input_id"
"""Where binding keeps a node's public input name, since the value takes its place in the inputs."""

MEDIA_META = "comfyserve_media"
"""Where a dialect keeps the fields of a node that its callers know as files, though no table does: field -> kind."""

PREFIX_FIELD = "filename_prefix"
LISTS = frozenset({MediaKind.IMAGES, MediaKind.FOLDER})


@dataclass(frozen=True)
class MediaPlace:
    """A field of the graph that holds a URL, a data URI or `asset:<id>`, or one in its list. `label` is the input's
    public name, with the item's index for one of a list. `by_path` and `below` are those of MediaFields."""

    node_id: str
    field: str
    kind: MediaKind
    value: str
    label: str
    by_path: bool = False
    below: str | None = None


def media_places(graph: Graph, catalogue: Catalogue | None = None) -> Iterator[MediaPlace]:
    """The fields of a graph whose files must be brought to the engine before it runs; the catalogue tells those of
    classes that no table has."""
    fields = _fields_by_class(graph, catalogue)
    for node_id, node in graph.nodes.items():
        for known in _fields_of(node, fields):
            named = (list(_places_in(node_id, field, known, node)) for field in known.fields)
            yield from next(filter(None, named), [])


def check_media_names(graph: Graph, catalogue: Catalogue | None = None) -> None:
    """Raise InvalidInput for the name of an existing file, folder or output that leads out of its folder, and for a
    list that is to become a folder and has such a name."""
    fields = _fields_by_class(graph, catalogue)
    for node_id, node in graph.nodes.items():
        _check(node.inputs.get(PREFIX_FIELD), Place(node_id=node_id, field=PREFIX_FIELD))
        for known in _fields_of(node, fields):
            for field in known.fields:
                _check_field(node_id, field, known, node)


def label_of(node: Node, field: str) -> str:
    """The public name of a field: that of the declared input which it holds, else its own."""
    return str(node.meta.get(INPUT_ID_META) or field)


def _fields_by_class(graph: Graph, catalogue: Catalogue | None) -> Mapping[str, Sequence[MediaFields]]:
    """Each class looked up once: a graph may have thousands of nodes."""
    return {name: media_fields(name, catalogue) for name in {node.class_type for node in graph.nodes.values()}}


def _fields_of(node: Node, by_class: Mapping[str, Sequence[MediaFields]]) -> Sequence[MediaFields]:
    """The fields of a node that name files; those that only its dialect knows are given paths."""
    known = by_class[node.class_type]
    told = node.meta.get(MEDIA_META)
    if not isinstance(told, Mapping):
        return known
    named = {field for one in known for field in one.fields}
    more = [(field, kind) for field, kind in told.items() if field not in named and kind in frozenset(MediaKind)]
    return [*known, *(MediaFields(MediaKind(kind), (field,), by_path=True) for field, kind in more)]


def _places_in(node_id: str, field: str, known: MediaFields, node: Node) -> Iterator[MediaPlace]:
    """The files that one field names."""
    value, label = node.inputs.get(field), label_of(node, field)
    if is_outside(value):
        yield MediaPlace(node_id, field, known.kind, value, label, known.by_path, known.below)
    elif known.kind in LISTS:
        for index, item in enumerate(listed(value) or ()):
            if is_outside(item):
                yield MediaPlace(node_id, field, known.kind, item, f"{label}[{index}]", known.by_path, known.below)


def _check_field(node_id: str, field: str, known: MediaFields, node: Node) -> None:
    value, label = node.inputs.get(field), label_of(node, field)
    place = Place(node_id=node_id, field=label)
    items = listed(value) if known.kind in LISTS else None
    if items is None:
        check_address(value, place)
        _check(value, place)
        return
    if known.kind is MediaKind.FOLDER and not items:
        raise InvalidInput(f"{label} names no files. Give at least one address, or the name of a folder.", place=place)
    for index, item in enumerate(items):
        where = Place(node_id=node_id, field=f"{label}[{index}]")
        if known.kind is MediaKind.FOLDER and not is_outside(item):
            raise InvalidInput(f"{where.field} must be an address, like all others of its list.", place=where)
        check_address(item, where)
        _check(item, where)


def _check(value: Any, place: Place) -> None:
    if isinstance(value, str) and not is_outside(value):
        check_name(value, place)


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A field's value with the files that `names` knows under their new names, also inside a list of files."""
    items = listed(value)
    if items is not None and any(item in names for item in items):
        changed = [names.get(item, item) for item in items]
        return json.dumps(changed) if isinstance(value, str) else changed
    return names.get(value, value) if isinstance(value, str) else value


def listed(value: Any) -> list[str] | None:
    """The items of a list of texts, or of a JSON text of one; None for anything else."""
    if isinstance(value, str):
        if not value.startswith("["):
            return None
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
