"""The release that this engine stands in for."""

from comfyserve.protocol.routes import COMFYUI_VERSION

__version__ = COMFYUI_VERSION
