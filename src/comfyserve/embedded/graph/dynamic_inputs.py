"""Inputs that depend on other inputs: autogrow, dynamic combo and match type of newer V3 nodes.

In a graph their members stand under dotted names (`images.image0`, `resize_type` beside `resize_type.width`); the node
gets one dictionary per dynamic input (`{"image0": ...}`, `{"resize_type": ..., "width": ...}`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

AUTOGROW: Final = "COMFY_AUTOGROW_V3"
DYNAMIC_COMBO: Final = "COMFY_DYNAMICCOMBO_V3"
MATCH_TYPE: Final = "COMFY_MATCHTYPE_V3"
DYNAMIC: Final = frozenset({AUTOGROW, DYNAMIC_COMBO})
GROUPS: Final = ("required", "optional")

Entry = tuple[str, str, Any]
"""Name, category and declaration of one input."""


def expand(name: str, category: str, spec: Any, given: Mapping[str, Any]) -> Iterator[Entry]:
    """The inputs that a declaration stands for beside these given ones; itself when it is not dynamic."""
    if kind(spec) == AUTOGROW:
        yield from _grown(name, category, spec[1]["template"])
        return
    yield name, category, spec
    if kind(spec) == DYNAMIC_COMBO:
        for option in spec[1]["options"]:
            if option["key"] == given.get(name):
                yield from _members(name, option["inputs"], given)


def kind(spec: Any) -> str:
    """The type of a declaration, "" when it is no plain word: packs declare types whose comparison always says yes."""
    word = spec[0] if isinstance(spec, (tuple, list)) and spec else None
    return word if type(word) is str else ""


def nest(declared: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the node wants them: one dictionary per dynamic input, its members in declared order."""
    dynamic = {name: spec for group in GROUPS for name, spec in _group(declared, group) if kind(spec) in DYNAMIC}
    if not dynamic:
        return dict(values)
    nested: dict[str, Any] = {name: {} for name in dynamic}
    for name, value in values.items():
        path = name.split(".")
        if path[0] not in dynamic:
            nested[name] = value
            continue
        place = nested
        for part in path[:-1]:
            place = place.setdefault(part, {})
        if kind(dynamic[path[0]]) == DYNAMIC_COMBO and len(path) == 1:
            place = place[path[0]]
        place[path[-1]] = value
    for name, spec in dynamic.items():
        if kind(spec) == AUTOGROW:
            names = _names(spec[1]["template"])
            nested[name] = {key: nested[name][key] for key in names if key in nested[name]}
    return nested


def allowed_types(spec: Any) -> str:
    """The types that may be linked to a match-type input, comma-separated."""
    return str(spec[1]["template"]["allowed_types"])


def _group(declared: Mapping[str, Any], group: str) -> Iterator[tuple[str, Any]]:
    yield from (declared.get(group) or {}).items()


def _members(prefix: str, inputs: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Entry]:
    for group in GROUPS:
        for name, spec in _group(inputs, group):
            yield from expand(f"{prefix}.{name}", group, spec, given)


def _grown(name: str, category: str, template: Mapping[str, Any]) -> Iterator[Entry]:
    """Every possible member: the first `min` as the template says, the others optional."""
    for group in GROUPS:
        for _, spec in _group(template["input"], group):
            for index, member in enumerate(_names(template)):
                wanted = group == "required" and category == "required" and index < template["min"]
                yield f"{name}.{member}", "required" if wanted else "optional", spec
            return


def _names(template: Mapping[str, Any]) -> list[str]:
    names = template.get("names")
    return list(names) if names else [f"{template['prefix']}{index}" for index in range(template["max"])]
