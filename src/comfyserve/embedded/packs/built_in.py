"""The catalogue without foreign code: the core nodes, and the External nodes of this project."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from types import ModuleType

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.packs.importing import import_file

logger = logging.getLogger(__name__)

OWN_PACK = "comfyserve"
OWN_PARENT = "custom_nodes"
OWN_MODULE = f"{OWN_PARENT}.{OWN_PACK}"
CORE_PACKAGE = "comfyserve.embedded.nodes"


def load_catalogue(folders: Folders) -> Catalogue:
    """The built-in nodes and our own; those of custom_nodes/ are added by `load_packs`."""
    folders.custom_nodes.mkdir(parents=True, exist_ok=True)
    catalogue = Catalogue()
    core = importlib.import_module(CORE_PACKAGE)
    catalogue.add(core.NODE_CLASS_MAPPINGS, core.NODE_DISPLAY_NAME_MAPPINGS)
    path = own_pack()
    if path is not None:
        own = _import_own(path)
        catalogue.add(own.NODE_CLASS_MAPPINGS, own.NODE_DISPLAY_NAME_MAPPINGS, OWN_MODULE)
    return catalogue


def own_pack() -> Path | None:
    """The External nodes: inside the installed package, or at the root of the repository."""
    here = Path(__file__).resolve()
    for candidate in (here.parents[2] / "_comfy_nodes", here.parents[4] / "comfy_nodes"):
        if (candidate / "__init__.py").is_file():
            return candidate
    return None


def own_web_folder() -> Path | None:
    """The scripts that our own nodes bring for the editor."""
    path, module = own_pack(), sys.modules.get(OWN_MODULE)
    directory = getattr(module, "WEB_DIRECTORY", None)
    if path is None or directory is None:
        return None
    return folder if (folder := path / directory).is_dir() else None


def join_own_pack() -> None:
    """Let our own nodes, which were loaded before there was a server, add their socket to it."""
    own = sys.modules.get(OWN_MODULE)
    if own is not None:
        importlib.import_module("server")
        own.realtime.join_server()


def _import_own(path: Path) -> ModuleType:
    """Under a parent that its relative imports need to exist; `load_packs` puts a better one in its place."""
    parent = sys.modules.setdefault(OWN_PARENT, ModuleType(OWN_PARENT))
    parent.__path__ = list(getattr(parent, "__path__", ()))
    return import_file(path / "__init__.py", OWN_MODULE)
