"""What made a result: the key under which it may be used again (spec 9, caching)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any

from comfyserve.embedded.graph.graph_view import GraphView
from comfyserve.embedded.graph.hidden_inputs import asks_for_id
from comfyserve.embedded.graph.node_types import is_link

Signature = bytes

_serial = itertools.count()


def sign(view: GraphView, changed: Mapping[str, Any], roots: list[str], known: dict[str, Signature]) -> None:
    """Add to `known` a signature for the roots and all that feeds them.

    It says the class, the change fingerprint (`changed` has what IS_CHANGED answered), the literals and the
    signatures of the sources; node ids do not count, except for nodes that ask for their id.
    A node on a cycle or behind a missing one, or whose values have no stable form (NaN), never matches.
    """
    for root in roots:
        _sign(view, changed, root, known)


def _sign(view: GraphView, changed: Mapping[str, Any], root: str, known: dict[str, Signature]) -> None:
    stack = [root]
    open_nodes: set[str] = set()
    while stack:
        node_id = stack[-1]
        if node_id in known:
            stack.pop()
            continue
        missing = {link[0] for _, link in view.links(node_id) if link[0] not in known and link[0] in view}
        if missing and node_id not in open_nodes:
            open_nodes.add(node_id)
            stack.extend(missing)
            continue
        stack.pop()
        known[node_id] = _unique() if missing else _signature(view, changed, node_id, known)


def _signature(view: GraphView, changed: Mapping[str, Any], node_id: str, known: Mapping[str, Signature]) -> Signature:
    node = view.type_of(node_id)
    parts: list[Any] = [node.name, changed.get(node_id)]
    if not node.idempotent or asks_for_id(view.schema(node_id)):
        parts.append({"id": node_id})
    for name, value in view.given(node_id).items():
        if not is_link(value):
            parts.append([name, value])
        elif value[0] in known:
            parts.append([name, known[value[0]].hex(), value[1], "link"])
        else:
            return _unique()
    # A node of an expansion may hold any Python object.
    try:
        parts[2:] = sorted(parts[2:], key=_name)
        text = json.dumps(parts, sort_keys=True, allow_nan=False, default=_stable)
    except (ValueError, TypeError, RecursionError):
        return _unique()
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _name(part: Any) -> str:
    return part[0] if isinstance(part, list) else ""


def _stable(value: Any) -> str:
    """Fingerprints may be bytes; anything else without a JSON form has no stable one."""
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no stable form")


def _unique() -> Signature:
    """A signature that nothing else has."""
    return f"unique-{next(_serial)}".encode()
