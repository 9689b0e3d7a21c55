"""Building the graph that a node expands into."""

from comfyserve.embedded.blocker import ExecutionBlocker
from comfyserve.embedded.graph_builder import GraphBuilder, Node, add_graph_prefix
from comfyserve.embedded.node_types import is_link

__all__ = ["ExecutionBlocker", "GraphBuilder", "Node", "add_graph_prefix", "is_link"]
