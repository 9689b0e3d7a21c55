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


def full_type_name(kind: type) -> str:
    """How clients are told a class: the bare name of a builtin one, else its dotted path."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


NodeNotFoundError.__module__ = NodeInputError.__module__ = "comfy_execution.graph"
DependencyCycleError.__module__ = "graph"
DuplicateNodeError.__module__ = "execution"
