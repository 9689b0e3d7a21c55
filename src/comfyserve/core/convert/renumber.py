"""New ids for nodes inside subgraphs whose ids are taken: the editor does so when it opens a file of an older one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfyserve.core.convert.read import EditorGraph, EditorNode, EditorWorkflow, mapping, number_of

NewIds = Mapping[str, str]
PROXIES = "proxyWidgets"


def renumber(workflow: EditorWorkflow) -> EditorWorkflow:
    """The workflow with every node id used once, over the root graph and all definitions in their order."""
    used = set(workflow.root.nodes)
    last = workflow.last_id
    changes: dict[str, dict[str, str]] = {}
    for subgraph, graph in workflow.subgraphs.items():
        new: dict[str, str] = {}
        for node_id in graph.nodes:
            if node_id in used:
                last = _next(last, used)
                new[node_id] = str(last)
            else:
                last = max(last, number_of(node_id) or 0)
            used.add(new.get(node_id, node_id))
        if new:
            changes[subgraph] = new
    if not changes:
        return workflow
    changed = {name: _renumbered(graph, changes.get(name, {}), changes) for name, graph in workflow.subgraphs.items()}
    return replace(workflow, root=_renumbered(workflow.root, {}, changes), subgraphs=changed)


def _next(last: int, used: set[str]) -> int:
    number = last + 1
    while str(number) in used:
        number += 1
    return number


def _renumbered(graph: EditorGraph, new: NewIds, changes: Mapping[str, NewIds]) -> EditorGraph:
    nodes = {}
    for node_id, node in graph.nodes.items():
        renamed = replace(node, id=new.get(node_id, node_id), properties=_properties(node, changes))
        nodes[renamed.id] = renamed
    links = {
        link_id: replace(link, origin=new.get(link.origin, link.origin), target=new.get(link.target, link.target))
        for link_id, link in graph.links.items()
    }
    return replace(graph, nodes=nodes, links=links)


def _properties(node: EditorNode, changes: Mapping[str, NewIds]) -> Mapping[str, Any]:
    """The properties of an instance, whose proxy widgets name nodes inside."""
    new, listed = changes.get(node.type), mapping(node.properties).get(PROXIES)
    if new is None or not isinstance(listed, list):
        return node.properties
    return {**node.properties, PROXIES: [_proxy(entry, new) for entry in listed]}


def _proxy(entry: Any, new: NewIds) -> Any:
    if not isinstance(entry, list) or not entry:
        return entry
    return [new.get(str(entry[0]), entry[0]), *entry[1:]]
