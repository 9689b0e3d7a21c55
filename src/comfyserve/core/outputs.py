"""What a run gave: files and values, in stable order, whatever key the node published them under."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MARKERS = frozenset({"animated", "simulated"})
"""Keys of a UI output that say something about the others and hold no output themselves."""


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

    Untrusted: whatever does not look like an item (not a list, no file name, a marker such as `animated`) is skipped.
    """
    for node_id, ui in ui_by_node.items():
        if isinstance(ui, Mapping):
            yield from _read_node(str(node_id), ui)


def _read_node(node_id: str, ui: Mapping[str, Any]) -> Iterator[NodeOutput]:
    for key, items in ui.items():
        if key not in MARKERS and isinstance(items, list | tuple):
            read = (_read_item(node_id, str(key), index, item) for index, item in enumerate(items))
            yield from (output for output in read if output is not None)


def _read_item(node_id: str, key: str, index: int, item: Any) -> NodeOutput | None:
    if isinstance(item, Mapping):
        name = item.get("filename")
        if not isinstance(name, str) or not name:
            return None
        file = EngineFile(name, str(item.get("subfolder") or ""), str(item.get("type") or "output"))
        return NodeOutput(node_id, key, index, file=file)
    if isinstance(item, str | int | float | bool):
        return NodeOutput(node_id, key, index, value=item)
    return None
