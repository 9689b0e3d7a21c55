"""Outputs in the shape of section 2.5, normalised so that no SDK stumbles over one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from comfyserve.apis.http.answers import iso
from comfyserve.core.inputs import OUTPUTS
from comfyserve.services.records import OutputView

Labels = Mapping[str, str]
"""Node id -> the label that its output node was given (`output_id`)."""


def labels_of(graph: Mapping[str, Any] | None) -> dict[str, str]:
    """The labels of a graph's output nodes."""
    labels: dict[str, str] = {}
    for node_id, node in (graph or {}).items():
        label = node.get("inputs", {}).get("output_id") if isinstance(node, Mapping) else None
        if isinstance(label, str) and label and node.get("class_type") in OUTPUTS:
            labels[node_id] = label
    return labels


def has_labels(outputs: Sequence[OutputView]) -> bool:
    """Whether some output comes from a node that may carry a label."""
    return any(one.class_type in OUTPUTS for one in outputs)


def media_item(url: str, filename: str, kind: str, subfolder: str, label: str | None) -> dict[str, Any]:
    """A file of an output; everybody who has its URL can read it, so it is public in their sense."""
    item = {
        "url": url,
        "type": kind or "output",
        "filename": filename,
        "subfolder": subfolder,
        "is_public": True,
        "upload_duration": None,
    }
    return item | ({"output_id": label} if label else {})


def item_of(view: OutputView, label: str | None = None) -> dict[str, Any] | str | bool | None:
    """A media item, a string or a boolean; None when there is nothing that their clients can read."""
    if view.url is not None:
        return media_item(view.url, view.filename, view.type, view.subfolder, label)
    return plain(view.value)


def plain(value: Any) -> str | bool | None:
    """A value as their clients can read it: numbers and structures become text."""
    if value is None or isinstance(value, bool | str):
        return value
    return json.dumps(value, ensure_ascii=False)


def run_outputs(run_id: str, outputs: Sequence[OutputView], labels: Labels) -> list[dict[str, Any]]:
    """One RunOutput for each node, in the order of their first outputs."""
    nodes: dict[str, list[OutputView]] = {}
    for one in outputs:
        nodes.setdefault(one.node_id, []).append(one)
    return [_node_output(run_id, views, labels.get(node_id)) for node_id, views in nodes.items()]


def workflow_outputs(outputs: Sequence[OutputView]) -> dict[str, list[dict[str, Any]]]:
    """All files by key, as V1 scripts read them; `type` is the kind of medium (section 6.2)."""
    merged: dict[str, list[dict[str, Any]]] = {}
    for one in outputs:
        if one.url is not None:
            item = {"filename": one.filename, "url": one.url, "type": one.kind}
            merged.setdefault(one.key, []).append(item)
    return merged


def _node_output(run_id: str, views: Sequence[OutputView], label: str | None) -> dict[str, Any]:
    data: dict[str, list[Any]] = {}
    for view in views:
        item = item_of(view, label)
        if item is not None:
            data.setdefault(view.key, []).append(item)
    first, last = views[0], views[-1]
    return {
        "id": first.id,
        "run_id": run_id,
        "output_id": label,
        "data": data,
        "node_meta": {"node_id": first.node_id, "node_class": first.class_type},
        "created_at": iso(first.created_at),
        "updated_at": iso(last.created_at),
        "type": None,
        "node_id": first.node_id,
    }
