"""Types that packs name in their annotations."""

from collections.abc import Callable
from typing import Any

from comfyserve.embedded.comfy_modules.comfy.comfy_types.node_typing import (
    IO,
    CheckLazyMixin,
    ComfyNodeABC,
    FileLocator,
    HiddenInputTypeDict,
    InputTypeDict,
    InputTypeOptions,
)

UnetApplyFunction = Callable[..., Any]
UnetWrapperFunction = Callable[..., Any]
UnetApplyConds = dict[str, Any]
UnetParams = dict[str, Any]

__all__ = [
    "IO",
    "CheckLazyMixin",
    "ComfyNodeABC",
    "FileLocator",
    "HiddenInputTypeDict",
    "InputTypeDict",
    "InputTypeOptions",
    "UnetApplyConds",
    "UnetApplyFunction",
    "UnetParams",
    "UnetWrapperFunction",
]
