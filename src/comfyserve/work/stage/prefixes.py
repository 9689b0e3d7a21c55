"""Makes the outputs of an attempt its own.

An engine answers a graph that it has just run from its cache, with old file names. Every output node writes under a
folder named after the attempt, so each attempt gives its own full result; `collect` takes the folder off again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfyserve.core.outputs import EngineFile

PREFIX_FIELD = "filename_prefix"


def add_prefixes(graph: Mapping[str, Any], attempt_id: str) -> dict[str, Any]:
    """The API-form graph with every literal `filename_prefix` moved under the attempt's folder."""
    changed = dict(graph)
    for node_id, node in graph.items():
        prefix = node["inputs"].get(PREFIX_FIELD)
        if isinstance(prefix, str):
            inputs = {**node["inputs"], PREFIX_FIELD: f"{attempt_id}/{prefix.lstrip('/')}"}
            changed[node_id] = {**node, "inputs": inputs}
    return changed


def without_prefix(file: EngineFile, attempt_id: str) -> EngineFile:
    """The file as its author named it, without the attempt's folder."""
    folder = file.subfolder.replace("\\", "/").strip("/")
    if folder == attempt_id:
        return replace(file, subfolder="")
    return replace(file, subfolder=folder.removeprefix(f"{attempt_id}/"))
