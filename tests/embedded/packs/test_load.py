"""Node packages from custom_nodes (spec section 5, python_module)."""

import logging
from pathlib import Path

import pytest

from comfyserve.embedded.catalogue import Catalogue
from comfyserve.embedded.folders import Folders
from comfyserve.embedded.packs import load_catalogue, load_pack

NODE = """
class Thing:
    RETURN_TYPES = ("INT",)
    RETURN_NAMES = ("count",)
    FUNCTION = "run"
    OUTPUT_TOOLTIPS = ("how many",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        return (1,)

NODE_CLASS_MAPPINGS = {"Thing": Thing, "SaveImage": Thing}
NODE_DISPLAY_NAME_MAPPINGS = {"Thing": "The thing"}
"""


def pack(folders: Folders, name: str, source: str) -> Path:
    path = folders.custom_nodes / name
    path.mkdir()
    (path / "__init__.py").write_text("from .part import *\n")
    (path / "part.py").write_text(source)
    return path


def test_a_package_with_submodules_is_loaded(folders: Folders) -> None:
    pack(folders, "my-pack", NODE)
    info = load_catalogue(folders).info("Thing")
    assert (info["python_module"], info["display_name"]) == ("custom_nodes.my-pack", "The thing")
    assert (info["output_name"], info["output_tooltips"], info["category"]) == (["count"], ["how many"], "sd")


def test_the_core_keeps_its_names(folders: Folders, caplog: pytest.LogCaptureFixture) -> None:
    pack(folders, "greedy", NODE)
    catalogue = load_catalogue(folders)
    assert catalogue.info("SaveImage")["python_module"] == "nodes"
    assert any(getattr(record, "nodes", None) == ["SaveImage"] for record in caplog.records)


@pytest.mark.parametrize(
    "source", ["import no_such_module", "raise SystemExit(1)", "syntax error", "NODE_CLASS_MAPPINGS = {'a': int}"]
)
def test_a_package_that_fails_is_named_and_left_out(
    folders: Folders, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    pack(folders, "broken", source)
    pack(folders, "fine", NODE)
    with caplog.at_level(logging.ERROR):
        catalogue = load_catalogue(folders)
    assert "Thing" in catalogue
    assert [getattr(record, "package", None) for record in caplog.records if record.levelno == logging.ERROR] == [
        "broken"
    ]


def test_a_single_file_and_what_is_passed_over(folders: Folders) -> None:
    (folders.custom_nodes / "single.py").write_text(NODE)
    (folders.custom_nodes / "off.disabled").mkdir()
    (folders.custom_nodes / "notes.txt").touch()
    (folders.custom_nodes / "_private.py").write_text("raise RuntimeError")
    assert load_catalogue(folders).info("Thing")["python_module"] == "custom_nodes.single"


def test_an_absent_package_is_a_failure(tmp_path: Path) -> None:
    assert load_pack(Catalogue(), tmp_path / "absent", "absent") is False
