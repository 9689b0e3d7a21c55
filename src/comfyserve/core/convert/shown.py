"""Which widgets inside a subgraph its instances show: those that an input of the subgraph leads to."""

from collections.abc import Mapping

from comfyserve.core.convert.read import EditorGraph, EditorNode, EditorWorkflow, Link
from comfyserve.core.convert.scopes import MAX_DEPTH, Shown
from comfyserve.core.convert.widgets import Fields


def shown_widgets(workflow: EditorWorkflow, fields: Mapping[EditorNode, Fields]) -> dict[str, Shown]:
    """By the id of each subgraph, its inputs that are widgets, in their order.

    A widget of a subgraph in a subgraph is known once the inner one is: the rounds end when nothing new is found.
    """
    names = {key: {widget.spec.name for widget in one.widgets} for key, one in fields.items()}
    found: dict[str, Shown] = {subgraph: Shown() for subgraph in workflow.subgraphs}
    for _ in range(MAX_DEPTH):
        before = {subgraph: len(one.links) for subgraph, one in found.items()}
        for subgraph, graph in workflow.subgraphs.items():
            found[subgraph] = _shown(graph, names, found)
        if before == {subgraph: len(one.links) for subgraph, one in found.items()}:
            break
    return found


def _shown(graph: EditorGraph, names: Mapping[EditorNode, set[str]], found: Mapping[str, Shown]) -> Shown:
    links: dict[str, Link] = {}
    for name, inner in graph.inner_links.items():
        for link in inner:
            if _leads_to_widget(graph, link, names, found):
                links[name] = link
                break
    inputs = {(link.target, graph.target_widget(link) or ""): name for name, link in reversed(links.items())}
    return Shown(links, inputs)


def _leads_to_widget(
    graph: EditorGraph, link: Link, names: Mapping[EditorNode, set[str]], found: Mapping[str, Shown]
) -> bool:
    target = graph.nodes.get(link.target)
    if target is None or link.target_slot >= len(target.inputs):
        return False
    slot = target.inputs[link.target_slot]
    if target.type in found:
        return slot.name in found[target.type].links
    known = names.get(target)
    return slot.widget is not None if known is None else slot.name in known
