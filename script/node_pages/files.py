"""Every file that is generated for the node package, as path -> text."""

import json
from collections.abc import Iterable

from comfyserve.core.inputs.node_table import node_classes, node_table
from comfyserve.fetch.networks import METADATA, SPECIAL

from .drawing import drawing
from .pages import IMAGES, help_page, nodes_page

HELP = "comfy_nodes/web/docs"
PICTURES = f"docs/{IMAGES}"
FOLDERS = (HELP, PICTURES)
"""Folders in which everything is generated."""


def generated() -> dict[str, str]:
    """Path relative to the repository -> what stands there."""
    files = {
        "comfy_nodes/_table.json": node_table(),
        "comfy_nodes/_networks.json": _networks(),
        "docs/nodes.md": nodes_page(),
    }
    for class_type, node in node_classes().items():
        files[f"{HELP}/{class_type}.md"] = help_page(node)
        files[f"{PICTURES}/{class_type}.svg"] = drawing(node)
    return files


def _networks() -> str:
    table = {"generated_by": "script/generate-nodes", "special": _texts(SPECIAL), "metadata": sorted(_texts(METADATA))}
    return json.dumps(table, indent=1) + "\n"


def _texts(networks: Iterable[object]) -> list[str]:
    return [str(network) for network in networks]
