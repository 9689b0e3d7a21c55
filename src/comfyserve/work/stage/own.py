"""Makes the outputs of an attempt its own.

An engine answers a graph that it has just run from its cache, with old file names. Every output node writes under a
folder named after the attempt, so each attempt gives its own full result; `collect` takes the folder off again. A last
node without such a folder, such as a preview, gets an input that it does not know: ComfyUI does not hand it to the
node, but counts it among what tells two calls apart (spec comfyui-protocol, sections 2 and 9).
"""

from collections.abc import Set
from dataclasses import replace
from typing import Any

from comfyserve.core.graph import Graph
from comfyserve.core.outputs import EngineFile

PREFIX_FIELD = "filename_prefix"
ATTEMPT_FIELD = "comfyserve_attempt"


def make_own(graph: Graph, attempt_id: str) -> tuple[dict[str, Any], Set[str]]:
    """The graph in API form with every literal `filename_prefix` moved under the attempt's folder and every other last
    node marked, and the ids of all these nodes: the engine executes them anew."""
    linked = {link.node_id for node in graph.nodes.values() for _, link in node.links()}
    changes: dict[str, dict[str, Any]] = {}
    for node_id, node in graph.nodes.items():
        prefix = node.inputs.get(PREFIX_FIELD)
        if isinstance(prefix, str):
            changes[node_id] = {PREFIX_FIELD: f"{attempt_id}/{prefix.lstrip('/')}"}
        elif node_id not in linked:
            changes[node_id] = {ATTEMPT_FIELD: attempt_id}
    return graph.with_inputs(changes).as_json(), changes.keys()


def without_prefix(file: EngineFile, attempt_id: str) -> EngineFile:
    """The file as its author named it, without the attempt's folder."""
    folder = file.subfolder.replace("\\", "/").strip("/")
    if folder == attempt_id:
        return replace(file, subfolder="")
    return replace(file, subfolder=folder.removeprefix(f"{attempt_id}/"))


def names_input(value: object, attempt_id: str) -> bool:
    """Whether a text is the name of a file that was staged for this attempt: it is gone when the run has ended."""
    return isinstance(value, str) and value.replace("\\", "/").rpartition("/")[2].startswith(f"{attempt_id}_")
