"""The first words of binary websocket frames."""

from comfyserve.embedded.comfy_modules.server import BinaryEventTypes

__all__ = ["BinaryEventTypes"]
