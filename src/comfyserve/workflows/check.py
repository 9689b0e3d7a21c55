"""One workflow file, tried without a server: what it makes of an input, or what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfyserve.core.catalogue import Catalogue, check_classes
from comfyserve.core.graph import parse_graph
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.files import KINDS, Found
from comfyserve.workflows.folder import WorkflowFolder
from comfyserve.workflows.limits import WorkflowLimits
from comfyserve.workflows.names import WorkflowContext


@dataclass(frozen=True)
class Tried:
    """A workflow's parsed input, the graph that it made of it, and the table of its inputs."""

    input: Mapping[str, Any]
    graph: Mapping[str, Any]
    table: str


async def try_file(
    file: Path,
    given: Any,
    context: WorkflowContext,
    limits: WorkflowLimits | None = None,
    *,
    catalogue: Catalogue | None,
) -> Tried:
    """Load a file and make its graph. Raises Unreadable (the file), InvalidInput (the input, or what the function
    raised), InvalidGraph (the graph is none, or has nodes that the catalogue does not know)."""
    found = _found(file)
    folder = WorkflowFolder(found.file.parent, context, limits or WorkflowLimits())
    try:
        workflow = await folder.opened(found)
        parsed = await workflow.read(given)
        made = await workflow.graph(parsed)
        graph = parse_graph(made)
        if catalogue is not None:
            check_classes(graph, catalogue)
        return Tried(dict(parsed), made, workflow.description)
    finally:
        await folder.close()


def _found(file: Path) -> Found:
    kind = KINDS.get(file.suffix)
    if kind is None:
        raise Unreadable(f"It ends in none of {', '.join(KINDS)}.")
    if not file.is_file():
        raise Unreadable("There is no such file.")
    return Found(file.stem, file.resolve(), kind, (0, 0))
