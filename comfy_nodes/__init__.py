"""The comfyserve node package: declare the inputs and outputs of a workflow inside ComfyUI.

It stands alone: copy this folder into `ComfyUI/custom_nodes`. The embedded engine of comfyserve loads it as well.
"""

from . import inputs, outputs, text_tools
from ._nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "inputs", "outputs", "text_tools"]
