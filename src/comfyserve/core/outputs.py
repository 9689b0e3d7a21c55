"""What a run gave: files and values, in stable order, whatever key the node published them under."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

MARKERS = frozenset({"animated", "simulated"})
"""Keys of a UI output that say something about the others and hold no output themselves."""

PLACE = (("subfolder", ""), ("type", "output"))
DEEPEST = 4
"""How many lists may lie in each other."""

MAX_WORD = 4096
"""Characters of a file's name, and of its folder."""


@dataclass(frozen=True)
class EngineFile:
    """A file an engine holds: the three words that `/view` takes (comfyui-protocol.md section 4)."""

    filename: str
    subfolder: str = ""
    type: str = "output"


@dataclass(frozen=True)
class NodeOutput:
    """One item of a node's UI output: a file, or a plain value such as a text. `key` is the node's own word."""

    node_id: str
    key: str
    index: int
    file: EngineFile | None = None
    value: Any = None


def read_outputs(ui_by_node: Mapping[str, Any]) -> Iterator[NodeOutput]:
    """All items of a history record's `outputs`, ordered by node id as given, key, index.

    Untrusted. Published is a list as a rule; a file or a text without a list and lists in lists are read, too. What
    is no item (null, an object without a file name, a marker such as `animated`) is skipped and never raises.
    """
    for node_id, ui in ui_by_node.items():
        if isinstance(ui, Mapping):
            yield from _read_node(str(node_id), ui)


def _read_node(node_id: str, ui: Mapping[str, Any]) -> Iterator[NodeOutput]:
    for key, items in ui.items():
        if key not in MARKERS and isinstance(items, list | tuple | Mapping | str):
            read = (_read_item(node_id, str(key), index, item) for index, item in enumerate(_flat(items)))
            yield from (output for output in read if output is not None)


def _flat(items: Any, depth: int = DEEPEST) -> Iterator[Any]:
    """The items one by one, however they are nested; what is nested deeper than that is no output."""
    if not isinstance(items, list | tuple):
        yield items
    elif depth:
        for item in items:
            yield from _flat(item, depth - 1)


def _read_item(node_id: str, key: str, index: int, item: Any) -> NodeOutput | None:
    if isinstance(item, Mapping):
        return _read_file(node_id, key, index, item)
    if isinstance(item, float) and not isfinite(item):
        return NodeOutput(node_id, key, index, value=str(item))  # JSON has no such number
    if isinstance(item, str | int | float | bool):
        return NodeOutput(node_id, key, index, value=item)
    return None


def _read_file(node_id: str, key: str, index: int, item: Mapping[str, Any]) -> NodeOutput | None:
    name, *place = (item.get(field) or default for field, default in (("filename", ""), *PLACE))
    if not name or not all(isinstance(word, str) and len(word) <= MAX_WORD for word in (name, *place)):
        return None
    return NodeOutput(node_id, key, index, file=EngineFile(name, *place))
