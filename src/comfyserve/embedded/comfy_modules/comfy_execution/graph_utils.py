"""Building the graph that a node expands into."""

from comfyserve.embedded.graph.blocker import ExecutionBlocker
from comfyserve.embedded.graph.graph_builder import GraphBuilder, Node, add_graph_prefix
from comfyserve.embedded.graph.node_types import is_link

__all__ = ["ExecutionBlocker", "GraphBuilder", "Node", "add_graph_prefix", "is_link"]
