"""Reading a node catalogue, the answer of `/object_info` (comfyui-protocol.md section 5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfyserve.core.errors import InvalidGraph, Place
from comfyserve.core.graph import Graph

Catalogue = Mapping[str, Any]

COMBO = "COMBO"
OPEN_OPTIONS = ("image_upload", "video_upload", "audio_upload", "file_upload", "animated_image_upload", "remote")
"""Options of a choice whose list is not the whole truth: files are uploaded, or the list is asked for later."""

SHOWN_CLASSES = 20


@dataclass(frozen=True)
class FieldSpec:
    """What the catalogue says of one field; `choices` is None unless the value must be one of them, `listed` is what
    a choice shows, be it the whole truth or not."""

    type: str
    choices: tuple[Any, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    listed: tuple[Any, ...] | None = None


def field_spec(catalogue: Catalogue | None, class_type: str, name: str) -> FieldSpec | None:
    """The declaration of a field, in either form of a choice, or None when the catalogue does not know it."""
    return next((spec for known, spec in field_specs(catalogue, class_type) if known == name), None)


def field_specs(catalogue: Catalogue | None, class_type: str) -> Iterator[tuple[str, FieldSpec]]:
    """The declared fields of a class, those that must be given first."""
    declared = _mapping(_mapping((catalogue or {}).get(class_type)).get("input"))
    for category in ("required", "optional"):
        for name, entry in _mapping(declared.get(category)).items():
            if isinstance(entry, list | tuple) and entry:
                yield name, _read(entry[0], _mapping(entry[1]) if len(entry) > 1 else {})


def check_classes(graph: Graph, catalogue: Catalogue) -> None:
    """Raise InvalidGraph that names every node class the engine does not have, with its nodes."""
    unknown: dict[str, list[str]] = {}
    for node_id, node in graph.nodes.items():
        if node.class_type not in catalogue:
            unknown.setdefault(node.class_type, []).append(node_id)
    if not unknown:
        return
    named = [f"{name} (node {', '.join(ids[:SHOWN_CLASSES])})" for name, ids in list(unknown.items())[:SHOWN_CLASSES]]
    more = f" and {len(unknown) - SHOWN_CLASSES} more" if len(unknown) > SHOWN_CLASSES else ""
    first = next(iter(unknown.values()))[0]
    raise InvalidGraph(
        f"The engine has no node class {'; '.join(named)}{more}. Install the node packs, or take these nodes out.",
        place=Place(node_id=first, field="class_type"),
        details={"unknown_classes": unknown},
    )


def _read(kind: Any, options: Mapping[str, Any]) -> FieldSpec:
    if isinstance(kind, list | tuple):
        return FieldSpec(COMBO, _closed(kind, options), options, tuple(kind))
    if kind == COMBO:
        listed = options.get("options")
        shown = tuple(listed) if isinstance(listed, list | tuple) else ()
        return FieldSpec(COMBO, _closed(listed, options), options, shown)
    return FieldSpec(str(kind), None, options)


def _closed(choices: Any, options: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if not isinstance(choices, list | tuple) or options.get("multiselect"):
        return None
    return None if any(options.get(key) for key in OPEN_OPTIONS) else tuple(choices)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
