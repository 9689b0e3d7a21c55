"""The release of the API that packs pin: the same as `latest`."""

from comfyserve.embedded.comfy_modules.comfy_api.latest import (
    ComfyAPI,
    ComfyAPISync,
    ComfyExtension,
    Input,
    InputImpl,
    Types,
    io,
    ui,
)

__all__ = ["ComfyAPI", "ComfyAPISync", "ComfyExtension", "Input", "InputImpl", "Types", "io", "ui"]
