"""Every file that is generated for the node package, as path -> text."""

import json

from comfyserve.core.inputs.node_table import node_table
from comfyserve.fetch.networks import METADATA, SPECIAL


def generated() -> dict[str, str]:
    """Path relative to the repository -> what stands there."""
    return {
        "comfy_nodes/_table.json": node_table(),
        "comfy_nodes/_networks.json": _networks(),
    }


def _networks() -> str:
    table = {"generated_by": "script/generate-nodes", "special": _texts(SPECIAL), "metadata": sorted(_texts(METADATA))}
    return json.dumps(table, indent=1) + "\n"


def _texts(networks: object) -> list[str]:
    return [str(network) for network in networks]  # type: ignore[attr-defined]  # tuple or set of networks
