"""The comfyserve node package: declare the inputs and outputs of a workflow inside ComfyUI.

It stands alone: copy this folder into `ComfyUI/custom_nodes`. The embedded engine of comfyserve loads it as well.
"""

from . import inputs, media, models, outputs, realtime, text_tools
from ._nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

WEB_DIRECTORY = "./web"

realtime.join_server()

__all__ = [
    "NODE_CLASS_MAPPINGS",
    "NODE_DISPLAY_NAME_MAPPINGS",
    "WEB_DIRECTORY",
    "inputs",
    "media",
    "models",
    "outputs",
    "realtime",
    "text_tools",
]
