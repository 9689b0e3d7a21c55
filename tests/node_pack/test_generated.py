"""What script/generate-nodes writes is committed as it writes it."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from comfyserve.core.inputs.node_help import CLASS_HELP, FIELD_HELP, FIELD_HELP_OF
from comfyserve.core.inputs.node_table import node_classes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    sys.path.insert(0, str(ROOT / "script"))
    try:
        from node_pages.files import FOLDERS, generated  # type: ignore[import-not-found]  # it lives beside the scripts
    finally:
        sys.path.remove(str(ROOT / "script"))
    files: dict[str, str] = generated()
    kept = {str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).iterdir()}
    assert kept <= files.keys(), "files of nodes that are gone"
    return files


def test_every_generated_file_is_up_to_date(files: dict[str, str]) -> None:
    stale = [path for path, text in files.items() if (ROOT / path).read_text(encoding="utf-8") != text]
    assert stale == [], "run script/generate-nodes"


def test_every_drawing_is_a_picture_of_its_fields(files: dict[str, str]) -> None:
    for class_type, node in node_classes().items():
        text = files[f"docs/images/nodes/{class_type}.svg"]
        words = {element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")}
        assert {node.title, *(field.name for field in node.fields), *(name for _, name in node.outputs)} <= words


def test_no_help_is_left_over() -> None:
    classes = node_classes()
    assert CLASS_HELP.keys() == classes.keys()
    fields = {(class_type, field.name) for class_type, node in classes.items() for field in node.fields}
    assert FIELD_HELP_OF.keys() <= fields
    assert FIELD_HELP.keys() == {name for _, name in fields - FIELD_HELP_OF.keys()}
