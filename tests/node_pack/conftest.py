"""The node package in both of its homes: the embedded engine, and a ComfyUI whose `folder_paths` is a stand-in."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.context import NodeContext, activate
from comfyserve.embedded.files.folders import Folders

from .origin import BadOrigin, serving

PACKAGE = Path(__file__).parents[2] / "comfy_nodes"
RunNode = Callable[..., Any]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path)
    made.create()
    return made


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package as the embedded engine imports it."""
    return _imported(f"embedded_{tmp_path.name}", monkeypatch)


@pytest.fixture
def run(pack: ModuleType, folders: Folders) -> RunNode:
    """Call a node of the package as the embedded engine does."""

    def call(class_type: str, **inputs: Any) -> Any:
        activate(NodeContext(folders=folders))
        node_class = pack.NODE_CLASS_MAPPINGS[class_type]
        return getattr(node_class(), node_class.FUNCTION)(**inputs)

    return call


class ComfyFolders(ModuleType):
    """What the package uses of ComfyUI's own folder module."""

    def __init__(self, base: Path) -> None:
        super().__init__("folder_paths")
        self.base = base
        self.models_dir = str(base / "models")
        self.folder_names_and_paths = {
            name: ([str(base / "models" / name)], {".safetensors"}) for name in ("loras", "checkpoints")
        }
        for name in ("input", "output", "temp", "models/loras", "models/checkpoints"):
            (base / name).mkdir(parents=True, exist_ok=True)

    def get_filename_list(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.base / "models" / folder).iterdir())

    def get_input_directory(self) -> str:
        return str(self.base / "input")

    def get_output_directory(self) -> str:
        return str(self.base / "output")

    def get_temp_directory(self) -> str:
        return str(self.base / "temp")

    def get_annotated_filepath(self, name: str) -> str:
        return str(self.base / "input" / name)

    def get_save_image_path(
        self, prefix: str, folder: str, _width: int, _height: int
    ) -> tuple[str, str, int, str, str]:
        return folder, prefix, 7, "", prefix


@pytest.fixture
def comfy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package as a real ComfyUI imports it: no engine of ours around."""
    monkeypatch.setitem(sys.modules, "folder_paths", ComfyFolders(tmp_path))
    monkeypatch.delitem(sys.modules, "comfyserve.embedded.context", raising=False)
    return _imported(f"pack_{tmp_path.name}", monkeypatch)


def _imported(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def comfy_run(comfy: ModuleType) -> RunNode:
    """Call a node of the package as a real ComfyUI does."""

    def call(class_type: str, **inputs: Any) -> Any:
        node_class = comfy.NODE_CLASS_MAPPINGS[class_type]
        return getattr(node_class(), node_class.FUNCTION)(**inputs)

    return call


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The base folder of that ComfyUI, and of the embedded engine."""
    return tmp_path


@pytest.fixture
def origin() -> Iterator[BadOrigin]:
    """A web server on loopback that serves well and badly."""
    with serving() as running:
        yield running


@pytest.fixture
def open_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator allows downloads from this machine."""
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "127.0.0.0/8")


@pytest.fixture
def picture() -> Image.Image:
    """10 x 8 pixels with noise in all four channels."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 10, 4), dtype=np.uint8))
