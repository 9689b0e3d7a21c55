"""The node types of this engine and how `/object_info` publishes them (spec section 5)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from comfyserve.embedded.graph.foreign import Raised, foreign
from comfyserve.embedded.graph.node_types import NodeClass, NodeType, Schema

logger = logging.getLogger(__name__)

CORE_MODULE = "nodes"
DEFAULT_CATEGORY = "sd"


class Catalogue:
    """Class name -> NodeType. The core's names cannot be taken over by a package."""

    def __init__(self) -> None:
        self._types: dict[str, NodeType] = {}
        self._core: set[str] = set()
        self._published: dict[str, dict[str, Any]] = {}
        self.pack_folders: dict[str, Path] = {}
        """Name of each package that was loaded from a folder -> that folder."""
        self.web_folders: dict[str, Path] = {}
        """Name of each package with a WEB_DIRECTORY -> the folder that is served at /extensions/<name>/."""

    def add(self, classes: Mapping[str, NodeClass], names: Mapping[str, str], module: str = CORE_MODULE) -> list[str]:
        """Add the classes of one package; returns the names that were refused because the core has them."""
        refused = []
        for name, node_class in classes.items():
            if module == CORE_MODULE:
                self._core.add(name)
            elif name in self._core:
                refused.append(name)
                continue
            self._types[name] = NodeType(name, node_class, module, names.get(name))
            self._published.pop(name, None)
        return refused

    def replace(self, name: str, node_class: NodeClass, module: str, display_name: str | None = None) -> None:
        """Put a class under a name, the core's names too: what a pack does that writes to `nodes` itself."""
        self._types[name] = NodeType(name, node_class, module, display_name)
        self._published.pop(name, None)

    def remove(self, name: str) -> None:
        """Forget a class; KeyError when there is none."""
        del self._types[name]
        self._published.pop(name, None)

    def entitle(self, name: str, title: str | None) -> None:
        """Give a V1 class another title; other names are ignored, as a schema has its own title."""
        if name in self._types and not self._types[name].v3:
            self._types[name].display_name = title
            self._published.pop(name, None)

    def is_core(self, name: str) -> bool:
        """Whether the name is one of the built-in nodes."""
        return name in self._core

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __getitem__(self, name: str) -> NodeType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def info(self, name: str) -> dict[str, Any]:
        """The entry of one class in `/object_info`; KeyError when there is none."""
        node = self._types[name]
        fixed = self._published.get(name)
        if fixed is None:
            fixed = self._published[name] = _fixed_part(node)
        return {**_inputs(node, node.schema()), **fixed}

    def all_info(self, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The entries of these classes, or of all; one whose declaration raises is logged and left out."""
        found: dict[str, dict[str, Any]] = {}
        # The list is made at once: a pack may add classes in the worker meanwhile.
        for name in list(self._types) if names is None else names:
            if name not in self._types:
                continue
            # A pack's INPUT_TYPES may raise anything.
            entry = foreign(self._publishable, name)
            if isinstance(entry, Raised):
                logger.error("a node class cannot be published", extra={"node": name}, exc_info=entry.error)
            else:
                found[name] = entry
        return found

    def _publishable(self, name: str) -> dict[str, Any]:
        """The entry; raises for one without a JSON form, which would cost the editor all nodes."""
        entry = self.info(name)
        if not self.is_core(name):
            json.dumps(entry, default=str, allow_nan=False)
        return entry


def _fixed_part(node: NodeType) -> dict[str, Any]:
    """All that does not depend on the files of this moment."""
    node_class = node.node_class
    types = list(node.output_types)
    display = node.display_name if node.v3 else node.display_name or node.name
    info: dict[str, Any] = {
        "output": types,
        "output_is_list": list(node.output_is_list),
        "output_name": list(getattr(node_class, "RETURN_NAMES", None) or types),
        "name": node.name,
        "display_name": display,
        "description": getattr(node_class, "DESCRIPTION", ""),
        "python_module": node.module,
        "category": getattr(node_class, "CATEGORY", DEFAULT_CATEGORY),
        "output_node": node.is_output,
    }
    tooltips = getattr(node_class, "OUTPUT_TOOLTIPS", None)
    if node.v3 or tooltips is not None:
        info["output_tooltips"] = list(tooltips) if tooltips is not None else [None] * len(types)
    for key, attribute in (("deprecated", "DEPRECATED"), ("experimental", "EXPERIMENTAL"), ("api_node", "API_NODE")):
        value = bool(getattr(node_class, attribute, False))
        if value or node.v3:
            info[key] = value
    if getattr(node_class, "OUTPUT_MATCHTYPES", None):
        info["output_matchtypes"] = list(node_class.OUTPUT_MATCHTYPES)
    if getattr(node_class, "SIMULATED", False):
        info["simulated"] = True
    return info


def _inputs(node: NodeType, schema: Schema) -> dict[str, Any]:
    published: dict[str, dict[str, Any]] = {}
    for category, entries in schema.declared.items():
        if not node.v3:
            published[category] = dict(entries)
        elif category == "hidden":
            published[category] = {
                name: list(kind) if isinstance(kind, (tuple, list)) else [kind] for name, kind in entries.items()
            }
        else:
            published[category] = {name: _v3_input(entry) for name, entry in entries.items()}
    return {"input": published, "input_order": {key: list(value) for key, value in published.items()}}


def _v3_input(entry: tuple[Any, ...]) -> list[Any]:
    kind, options = entry[0], dict(entry[1]) if len(entry) > 1 else {}
    if isinstance(kind, list):
        first = {"default": options.pop("default")} if "default" in options else {}
        return ["COMBO", {**first, "multiselect": False, "options": kind, **options}]
    return [kind, options]
