"""`io`: types, fields, schema and node of the V3 API."""

from __future__ import annotations

from typing import Any

from comfyserve.embedded.comfy_modules.comfy_api.latest import _dynamic, _types
from comfyserve.embedded.comfy_modules.comfy_api.latest._fields import (
    ComfyTypeI,
    ComfyTypeIO,
    ControlAfterGenerate,
    Custom,
    FolderType,
    Input,
    NumberDisplay,
    Output,
    RemoteOptions,
    UploadType,
    WidgetInput,
    comfytype,
)
from comfyserve.embedded.comfy_modules.comfy_api.latest._schema import (
    ComfyNode,
    Hidden,
    HiddenHolder,
    NodeOutput,
    Schema,
    UIOutput,
)

_UIOutput = UIOutput

__all__ = [
    "ComfyNode",
    "ComfyTypeI",
    "ComfyTypeIO",
    "ControlAfterGenerate",
    "Custom",
    "FolderType",
    "Hidden",
    "HiddenHolder",
    "Input",
    "NodeOutput",
    "NumberDisplay",
    "Output",
    "RemoteOptions",
    "Schema",
    "UploadType",
    "WidgetInput",
    "comfytype",
]


def __getattr__(name: str) -> Any:
    """The types (Int, Image, Combo, ...) stand in a table."""
    for table in (_types.EXPORTED, _dynamic.EXPORTED):
        if name in table:
            return table[name]
    raise AttributeError(f"comfy_api.latest.io has no {name!r} in the embedded engine")
