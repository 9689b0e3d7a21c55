"""Importing one Python file under a name of our choice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def import_file(source: Path, module_name: str) -> ModuleType:
    """Run a file as a new module; an `__init__.py` becomes a package, whose relative imports work.

    Raises whatever it raises, and forgets it then.
    """
    spec = importlib.util.spec_from_file_location(module_name, source)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        forget(module_name)
        raise
    return module


def forget(module_name: str) -> None:
    """Drop a module and all of its parts, so that a later import starts anew."""
    for name in [name for name in sys.modules if name == module_name or name.startswith(f"{module_name}.")]:
        del sys.modules[name]
