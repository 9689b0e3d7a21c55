"""Fill the catalogue: the core nodes, the External nodes of this project, and the packages in custom_nodes/."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType

from comfyserve.embedded.catalogue import Catalogue
from comfyserve.embedded.folders import Folders

logger = logging.getLogger(__name__)

OWN_PACK = "comfyserve"
CORE_PACKAGE = "comfyserve.embedded.nodes"
PARENT = "custom_nodes"
"""The package that the node packages are imported under; their own relative imports need it to exist."""


def load_catalogue(folders: Folders) -> Catalogue:
    """All node types. A package that fails to import is logged with its name and left out."""
    catalogue = Catalogue()
    _add(catalogue, importlib.import_module(CORE_PACKAGE))
    own = own_pack()
    if own is not None:
        load_pack(catalogue, own, OWN_PACK)
    for path in sorted(folders.custom_nodes.iterdir()):
        if _is_pack(path) and path.stem != OWN_PACK:
            load_pack(catalogue, path, path.stem)
    return catalogue


def own_pack() -> Path | None:
    """The External nodes: inside the installed package, or at the root of the repository."""
    here = Path(__file__).resolve()
    for candidate in (here.parents[1] / "_comfy_nodes", here.parents[3] / "comfy_nodes"):
        if (candidate / "__init__.py").is_file():
            return candidate
    return None


def load_pack(catalogue: Catalogue, path: Path, name: str) -> bool:
    """Import one package or file as `custom_nodes.<name>` and add its nodes; False when it fails."""
    module_name = f"{PARENT}.{name}"
    try:
        _add(catalogue, _import_file(path, module_name), module_name)
    # Whatever foreign code raises while it is imported must not keep the engine from starting.
    except (Exception, SystemExit) as error:
        sys.modules.pop(module_name, None)
        reason = f"{type(error).__name__}: {error}"
        logger.exception("node package failed to load", extra={"package": name, "reason": reason})
        return False
    return True


def _import_file(path: Path, module_name: str) -> ModuleType:
    source = path / "__init__.py" if path.is_dir() else path
    search = [str(path)] if path.is_dir() else None
    spec = importlib.util.spec_from_file_location(module_name, source, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source.name} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    _make_parent()
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


def _make_parent() -> None:
    if PARENT not in sys.modules:
        parent = ModuleType(PARENT)
        parent.__path__ = []
        sys.modules[PARENT] = parent


def _add(catalogue: Catalogue, module: ModuleType, module_name: str | None = None) -> None:
    classes = getattr(module, "NODE_CLASS_MAPPINGS", {})
    names = getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", {})
    if module_name is None:
        catalogue.add(classes, names)
        return
    refused = catalogue.add(classes, names, module_name)
    if refused:
        logger.warning("node names are taken by the core", extra={"package": module_name, "nodes": refused})


def _is_pack(path: Path) -> bool:
    if path.name.startswith((".", "_")) or path.name.endswith(".disabled"):
        return False
    return (path / "__init__.py").is_file() if path.is_dir() else path.suffix == ".py"
