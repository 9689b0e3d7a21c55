"""What can go wrong with a graph while it runs. Clients see the type names, so they are ComfyUI's."""

from __future__ import annotations


class NodeNotFoundError(Exception):
    """A link names a node that the graph does not have."""


class NodeInputError(Exception):
    """A node asks for an input that is not linked."""


class DependencyCycleError(Exception):
    """The nodes that are left wait for each other."""


class DuplicateNodeError(Exception):
    """An expansion adds a node id that exists."""


class ExpansionLimitError(Exception):
    """Expansions have added more nodes than the engine allows (a setting of ours)."""


NodeNotFoundError.__module__ = NodeInputError.__module__ = "comfy_execution.graph"
DependencyCycleError.__module__ = "graph"
DuplicateNodeError.__module__ = "execution"
