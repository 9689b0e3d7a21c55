"""Loading the packs of custom_nodes/: which, in what order, and what each one brings (as ComfyUI 0.3.64 does)."""

from __future__ import annotations

import inspect
import logging
import time
import tomllib
import traceback
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from comfyserve.embedded.files.model_folders import CUSTOM_NODES
from comfyserve.embedded.packs import finder, host
from comfyserve.embedded.packs.arrays import pack_values
from comfyserve.embedded.packs.built_in import OWN_PACK, join_own_pack, own_web_folder
from comfyserve.embedded.packs.importing import forget, import_file
from comfyserve.embedded.packs.registry import Pack
from comfyserve.embedded.packs.v3 import as_v1, is_v3

if TYPE_CHECKING:
    from comfyserve.embedded.engine import Engine

logger = logging.getLogger(__name__)

PRESTARTUP = "prestartup_script.py"
PROJECT_FILE = "pyproject.toml"
DISABLED = ".disabled"


class NotAPack(Exception):
    """A module that brings no nodes."""


@dataclass(frozen=True, slots=True)
class PackChoice:
    """Which packs to load: all, none, or (with disable_all) those whose folder or file name is in the whitelist."""

    disable_all: bool = False
    whitelist: frozenset[str] = frozenset()

    def takes(self, path: Path) -> bool:
        return not self.disable_all or path.name in self.whitelist


@dataclass(slots=True)
class _Brought:
    """The nodes of one module: V1 and V3 alike, under the names that graphs use."""

    classes: Mapping[str, Any] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)


async def load_packs(engine: Engine, choice: PackChoice | None = None) -> None:
    """Load every pack of the engine's custom_nodes folders. One that fails is logged by name, and the others go on."""
    host.attach(engine)
    roots = [Path(path) for path in engine.folders.model_folders[CUSTOM_NODES][0]]
    finder.install(roots)
    own = own_web_folder()
    if own is not None:
        engine.catalogue.web_folders[OWN_PACK] = own
    join_own_pack()
    takes = (choice or PackChoice()).takes
    chosen = [path for root in roots for path in _candidates(root) if takes(path)]
    for path in chosen:
        _prestart(path)
    for path in chosen:
        pack = await _load(engine, path)
        engine.packs.loaded.append(pack)
        _log(pack)
    # A pack may have added its own as text.
    engine.catalogue.web_folders.update({name: Path(web) for name, web in engine.catalogue.web_folders.items()})


def _candidates(folder: Path) -> list[Path]:
    """The packs by name. Folders without `__init__.py` count too: they fail, and the log names them."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if _is_candidate(path)]


def _is_candidate(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "__pycache__" or path.name.endswith(DISABLED):
        return False
    return path.stem != OWN_PACK and (path.is_dir() or path.suffix == ".py")


def _prestart(path: Path) -> None:
    script = path / PRESTARTUP
    if not script.is_file():
        return
    # Foreign code: its failure is its own.
    try:
        import_file(script, str(script.with_suffix("")))
    except (Exception, SystemExit) as error:
        logger.exception("prestartup script failed", extra={"package": path.name, "reason": finder.reason_of(error)})


async def _load(engine: Engine, path: Path) -> Pack:
    began = time.perf_counter()
    name, source, module_name = _module(path)
    known = set(engine.catalogue)
    if source.parent == path:
        engine.catalogue.pack_folders[name] = path
    # Whatever foreign code raises while it is imported must not keep the engine from starting.
    try:
        module = import_file(source, module_name)
        engine.catalogue.web_folders.update(_web_folders(path, name, module))
        added, refused = _add(engine, await _nodes_of(module, known), f"{finder.PACKS_PARENT}.{name}")
    except (Exception, SystemExit) as error:
        forget(module_name)
        logger.debug("traceback of a node package", exc_info=error)
        took = time.perf_counter() - began
        return Pack(name, path, took, error=finder.reason_of(error), place=_place(path, error))
    return Pack(name, path, time.perf_counter() - began, tuple(added), tuple(refused))


def _module(path: Path) -> tuple[str, Path, str]:
    """Name, the file to run, and the name that ComfyUI gives the module: its path, without dots for a folder."""
    if path.is_dir():
        return path.name, path / "__init__.py", str(path).replace(".", "_x_")
    return path.stem, path, str(path.with_suffix(""))


def _place(path: Path, error: BaseException) -> str:
    """`file:line` of the pack's own code that failed, "" when it did not come that far."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(path)]
    return f"{Path(own[-1].filename).relative_to(path.parent)}:{own[-1].lineno}" if own else ""


def _web_folders(path: Path, name: str, module: ModuleType) -> dict[str, Path]:
    """URL name -> folder: `[tool.comfy] web` under the project's name, WEB_DIRECTORY under the pack's."""
    folders: dict[str, Path] = {}
    root = path if path.is_dir() else path.parent
    project, web = _project(path)
    if project and web and (root / web).is_dir():
        folders[project] = root / web
    directory = getattr(module, "WEB_DIRECTORY", None)
    if directory is not None and (root / directory).is_dir():
        folders[name] = (root / directory).resolve()
    return folders


def _project(path: Path) -> tuple[str, str]:
    """Name and web folder that a pack's pyproject.toml declares; empty when it does not."""
    try:
        content = tomllib.loads((path / PROJECT_FILE).read_text(encoding="utf-8"))
        return str(content["project"]["name"]), str(content["tool"]["comfy"]["web"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


async def _nodes_of(module: ModuleType, known: Container[str]) -> _Brought:
    """NODE_CLASS_MAPPINGS, or what comfy_entrypoint() answers. NotAPack when there is neither."""
    classes = getattr(module, "NODE_CLASS_MAPPINGS", None)
    if classes is not None:
        if getattr(classes, "is_whole_table", False):
            classes = {name: node_class for name, node_class in classes.items() if name not in known}
        return _Brought(classes, getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {})
    entrypoint = getattr(module, "comfy_entrypoint", None)
    if entrypoint is None:
        raise NotAPack("it has neither NODE_CLASS_MAPPINGS nor comfy_entrypoint")
    if not callable(entrypoint):
        raise NotAPack("its comfy_entrypoint is not a function")
    extension = entrypoint()
    if inspect.isawaitable(extension):
        extension = await extension
    if not (hasattr(extension, "get_node_list") and hasattr(extension, "on_load")):
        raise NotAPack("its comfy_entrypoint did not return a ComfyExtension")
    await extension.on_load()
    found = await extension.get_node_list()
    if not isinstance(found, list):
        raise NotAPack("its get_node_list did not return a list")
    schemas = [(node_class.GET_SCHEMA(), node_class) for node_class in found]
    return _Brought(
        {schema.node_id: node_class for schema, node_class in schemas},
        {schema.node_id: schema.display_name for schema, _ in schemas if schema.display_name is not None},
    )


def _add(engine: Engine, brought: _Brought, module_name: str) -> tuple[list[str], list[str]]:
    """The names that were added and those refused; a class that is no node is named in the log and left out."""
    added: list[str] = []
    refused: list[str] = []
    for name, node_class in brought.classes.items():
        if engine.catalogue.is_core(name):
            refused.append(name)
            continue
        # A class of a pack may be anything.
        try:
            node_class.RELATIVE_PYTHON_MODULE = module_name
            adapted = as_v1(node_class) if is_v3(node_class) else node_class
            engine.catalogue.add({name: adapted}, brought.titles, module_name)
            engine.catalogue[name].prepare = pack_values
        except Exception as error:
            logger.exception(
                "a class is no node", extra={"package": module_name, "node": name, "reason": finder.reason_of(error)}
            )
            refused.append(str(name))
        else:
            added.append(str(name))
    for name, title in brought.titles.items():
        engine.catalogue.entitle(name, title)
    return added, refused


def _log(pack: Pack) -> None:
    facts: dict[str, Any] = {"package": pack.name, "seconds": round(pack.seconds, 3)}
    if pack.error is not None:
        logger.error("node package failed to load", extra=facts | {"reason": pack.error, "place": pack.place})
        return
    logger.info("node package loaded", extra=facts | {"nodes": len(pack.nodes)})
    if pack.refused:
        logger.warning("node names are taken or unusable", extra=facts | {"nodes": list(pack.refused)})
