"""The node package in both of its homes: the embedded engine, and a ComfyUI whose `folder_paths` is a stand-in."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.catalogue import Catalogue
from comfyserve.embedded.context import NodeContext, activate
from comfyserve.embedded.folders import Folders
from comfyserve.embedded.packs import load_catalogue

PACKAGE = Path(__file__).parents[2] / "comfy_nodes"
RunNode = Callable[..., Any]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path)
    made.create()
    return made


@pytest.fixture
def catalogue(folders: Folders) -> Catalogue:
    return load_catalogue(folders)


@pytest.fixture
def run(catalogue: Catalogue, folders: Folders) -> RunNode:
    """Call a node of the package as the embedded engine does."""

    def call(class_type: str, **inputs: Any) -> Any:
        activate(NodeContext(folders=folders))
        node_class = catalogue[class_type].node_class
        return getattr(node_class(), node_class.FUNCTION)(**inputs)

    return call


class ComfyFolders(ModuleType):
    """What the package uses of ComfyUI's own folder module."""

    def __init__(self, base: Path) -> None:
        super().__init__("folder_paths")
        self.base = base
        for name in ("input", "output", "temp"):
            (base / name).mkdir(exist_ok=True)

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
    name = f"pack_{tmp_path.name}"
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
def picture() -> Image.Image:
    """10 x 8 pixels with noise in all four channels."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 10, 4), dtype=np.uint8))
