"""Results kept from one prompt to the next, by what made them (spec 9, caching; the classic cache)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from comfyserve.embedded.graph_view import GraphView
from comfyserve.embedded.node_types import is_link

Signature = bytes

_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Result:
    """What a node gave: a list of values for each output slot, and its UI object if it has one."""

    outputs: tuple[list[Any], ...]
    ui: dict[str, list[Any]] | None = None


class ResultCache:
    """Signature -> Result. Holds what the latest prompt can use and nothing else."""

    def __init__(self) -> None:
        self._results: dict[Signature, Result] = {}

    def __len__(self) -> int:
        return len(self._results)

    def get(self, signature: Signature) -> Result | None:
        return self._results.get(signature)

    def put(self, signature: Signature, result: Result) -> None:
        self._results[signature] = result

    def keep_only(self, signatures: Iterable[Signature]) -> None:
        """Drop what the prompt that starts now does not use."""
        wanted = set(signatures)
        self._results = {key: value for key, value in self._results.items() if key in wanted}

    def clear(self) -> None:
        self._results.clear()


def signatures(view: GraphView, changed: Mapping[str, Any]) -> dict[str, Signature]:
    """A signature for every node: its class, its change fingerprint, its literals and the signatures of its sources.
    Literals count even under a name that the node does not know, as they do in ComfyUI.

    `changed` has what IS_CHANGED answered. Node ids do not count, except for nodes that ask for their id.
    A node on a cycle or behind a missing one, or whose values have no stable form (NaN), never matches.
    """
    known: dict[str, Signature] = {}
    for root in view.graph:
        _sign(view, changed, root, known)
    return known


def _sign(view: GraphView, changed: Mapping[str, Any], root: str, known: dict[str, Signature]) -> None:
    stack = [root]
    open_nodes: set[str] = set()
    while stack:
        node_id = stack[-1]
        if node_id in known:
            stack.pop()
            continue
        links = {value[0] for _, value in view.inputs(node_id) if is_link(value)}
        missing = [source for source in links if source not in known and source in view]
        if missing and node_id not in open_nodes:
            open_nodes.add(node_id)
            stack.extend(missing)
            continue
        stack.pop()
        known[node_id] = _unique() if missing else _signature(view, changed, node_id, known)


def _signature(view: GraphView, changed: Mapping[str, Any], node_id: str, known: Mapping[str, Signature]) -> Signature:
    node = view.type_of(node_id)
    parts: list[Any] = [node.name, changed.get(node_id)]
    if not node.idempotent or "UNIQUE_ID" in view.schema(node_id).hidden.values():
        parts.append({"id": node_id})
    for spec, value in sorted(view.inputs(node_id), key=lambda item: item[0].name):
        if not is_link(value):
            parts.append([spec.name, value])
        elif value[0] in known:
            parts.append([spec.name, known[value[0]].hex(), value[1]])
        else:
            return _unique()
    parts.append(sorted(view.unknown_literals(node_id)))
    try:
        text = json.dumps(parts, sort_keys=True, allow_nan=False, default=_stable)
    except (ValueError, TypeError):
        return _unique()
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _stable(value: Any) -> str:
    """Fingerprints may be bytes; anything else without a JSON form has no stable one."""
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no stable form")


def _unique() -> Signature:
    """A signature that nothing else has."""
    return f"unique-{next(_serial)}".encode()
