"""Makes ComfyUI's modules importable under ComfyUI's names: `import folder_paths` finds our own small one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

from comfyserve.embedded.packs import host

MODULES: Final = "comfyserve.embedded.comfy_modules"
ROOTS: Final = frozenset(
    {
        "app",
        "comfy",
        "comfy_api",
        "comfy_api_nodes",
        "comfy_execution",
        "comfy_extras",
        "comfyui_version",
        "execution",
        "folder_paths",
        "latent_preview",
        "node_helpers",
        "nodes",
        "protocol",
        "server",
    }
)
"""The top-level modules of ComfyUI that packs import; those we have not are refused with a clear text."""
TORCH: Final = frozenset({"torch", "torchvision", "torchaudio", "torchsde"})
PACKS_PARENT: Final = "custom_nodes"
EXTRA_NODES: Final = "comfy_extras.nodes_"


class ComfyModules(MetaPathFinder):
    """Finds the names of ROOTS in `comfy_modules`, `custom_nodes` in the engine's folders, and hides torch."""

    def __init__(self, custom_nodes: Sequence[Path]) -> None:
        self._custom_nodes = custom_nodes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """ModuleNotFoundError for a part of ComfyUI that is not here, and for torch where it is installed."""
        root = fullname.partition(".")[0]
        if root in TORCH:
            _hide_torch(fullname)
            return None
        if fullname == PACKS_PARENT:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(folder) for folder in self._custom_nodes]
            return spec
        if root not in ROOTS:
            return None
        if fullname.startswith(EXTRA_NODES):
            return ModuleSpec(fullname, _BuiltInNodes())
        real = f"{MODULES}.{fullname}"
        if not _is_offered(fullname):
            raise ModuleNotFoundError(missing(fullname), name=fullname)
        return ModuleSpec(fullname, _Alias(real), is_package=(_file(fullname) / "__init__.py").is_file())


class _Alias(Loader):
    """Gives the module of another name, imported once."""

    def __init__(self, real: str) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It ran under its own name; the import system put the alias's spec on it."""
        module.__spec__ = self._spec


class _BuiltInNodes(Loader):
    """A module of ComfyUI's extra nodes: the built-in classes that say they are of it."""

    def create_module(self, spec: ModuleSpec) -> None:
        """A plain module."""

    def exec_module(self, module: ModuleType) -> None:
        """ModuleNotFoundError when this engine has none of its classes."""
        catalogue = host.engine().catalogue
        here = [name for name in catalogue if catalogue[name].module == module.__name__]
        if not here:
            raise ModuleNotFoundError(missing(module.__name__), name=module.__name__)
        vars(module).update({name: catalogue[name].node_class for name in here})


def install(custom_nodes: Sequence[Path]) -> None:
    """Put the finder first, and forget what an earlier engine of this process had imported."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, ComfyModules)]
    stale = [name for name in sys.modules if name.partition(".")[0] in ROOTS or f"{name}.".startswith(f"{MODULES}.")]
    for name in stale:
        if _is_ours(sys.modules[name]):
            del sys.modules[name]
    sys.modules.pop(PACKS_PARENT, None)
    sys.meta_path.insert(0, ComfyModules(custom_nodes))


def reason_of(error: BaseException) -> str:
    """Why a pack failed, in a sentence: an import of torch or of a part of ComfyUI we have not says what to do."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        root = error.name.partition(".")[0]
        if root in TORCH:
            return f"needs {root}: use a real ComfyUI"
        if root not in ROOTS:
            return f"needs the Python package {root!r}, which is not installed beside comfyserve"
    return f"{type(error).__name__}: {error}"


def missing(name: str) -> str:
    """The text of an import that cannot be served."""
    return f"{name} is not a part of the embedded engine (it has no torch): use a real ComfyUI"


def _hide_torch(fullname: str) -> None:
    # Where it is not installed, Python's own refusal is what packs expect.
    if "." not in fullname and PathFinder.find_spec(fullname) is None:
        return
    raise ModuleNotFoundError(f"{fullname} is hidden: the embedded engine works without it", name=fullname)


def _file(fullname: str) -> Path:
    return Path(__file__).parent.parent.joinpath("comfy_modules", *fullname.split("."))


def _is_offered(fullname: str) -> bool:
    path = _file(fullname)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _is_ours(module: ModuleType) -> bool:
    return getattr(module, "__name__", "").startswith(MODULES)
