"""Small graphs for the tests of the inputs."""

from typing import Any

from comfyserve.core.graph import Graph, parse_graph

PREFIX = "ComfyUIDeployExternal"


def node(name: str, input_id: Any = "x", meta: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    """An External node of class ComfyUIDeployExternal<name>."""
    raw = {"class_type": f"{PREFIX}{name}", "inputs": {"input_id": input_id, **inputs}}
    return raw if meta is None else {**raw, "_meta": meta}


def graph(*nodes: dict[str, Any], **named: dict[str, Any]) -> Graph:
    """A graph of these nodes under the ids 1, 2, 3, ... and of the named ones (n7 is node 7)."""
    numbered = {str(index): one for index, one in enumerate(nodes, 1)}
    return parse_graph(numbered | {name.removeprefix("n"): one for name, one in named.items()})
