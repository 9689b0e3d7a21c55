"""The parts of ComfyUI's `comfy` package that work without torch."""

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """In ComfyUI the parts are imported at its start, so that packs write `import comfy` and `comfy.utils`."""
    try:
        return importlib.import_module(f"comfy.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(str(error)) from error
