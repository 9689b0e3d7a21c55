"""Small editor workflows, written as they are saved."""

from collections.abc import Sequence
from typing import Any


def node(
    node_id: Any,
    kind: str,
    *,
    inputs: Sequence[tuple[str, str, Any]] = (),
    outputs: Sequence[str] = (),
    values: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """A node; an input is its name, its type and the id of its link."""
    slots = [{"name": name, "type": type_, "link": link} for name, type_, link in inputs]
    given = [{"name": type_, "type": type_, "links": []} for type_ in outputs]
    saved = {} if values is None else {"widgets_values": values}
    return {"id": node_id, "type": kind, "mode": 0, "inputs": slots, "outputs": given, **saved, **more}


def workflow(nodes: Sequence[Any], links: Sequence[Any] = (), subgraphs: Sequence[Any] = ()) -> dict[str, Any]:
    """A file of schema 0.4; a link is its id, origin, output, target, input and type."""
    definitions = {"definitions": {"subgraphs": list(subgraphs)}} if subgraphs else {}
    return {"nodes": list(nodes), "links": list(links), "version": 0.4, **definitions}


def subgraph(
    name: str,
    nodes: Sequence[Any],
    links: Sequence[Any] = (),
    inputs: Sequence[tuple[str, str, list[int]]] = (),
    outputs: Sequence[tuple[str, str, list[int]]] = (),
) -> dict[str, Any]:
    """A definition whose id is its name; an input or output is its name, type and links."""
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return {
        "id": name,
        "name": name,
        "nodes": list(nodes),
        "links": [dict(zip(keys, link, strict=True)) for link in links],
        "inputs": [{"name": one, "type": kind, "linkIds": ids} for one, kind, ids in inputs],
        "outputs": [{"name": one, "type": kind, "linkIds": ids} for one, kind, ids in outputs],
    }
