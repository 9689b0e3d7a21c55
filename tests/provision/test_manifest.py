"""Reading manifests."""

import json
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import InvalidInput
from comfyserve.provision.manifest import Manifest, ModelFile, parse_manifest, read_manifest

ROOT = Path(__file__).parents[2]
MODEL = {"url": "https://host/m.safetensors", "local_path": "models/loras/m.safetensors"}


def test_no_manifest() -> None:
    assert read_manifest("", "") is None and read_manifest(" \n", " ") is None


@pytest.mark.parametrize("ending", [".yml", ".YAML", ".json"])
def test_a_file_by_its_ending(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"manifest{ending}"
    text = json.dumps({"apt": ["git"], "models": {"before_start": [MODEL]}})
    file.write_text(text if ending == ".json" else "apt: [git]\nmodels:\n  before_start:\n    - " + json.dumps(MODEL))
    assert read_manifest("", str(file)) == Manifest(apt=("git",), before_start=(ModelFile(**MODEL),))


def test_the_text_wins_over_the_file(tmp_path: Path) -> None:
    assert read_manifest('{"pip": ["one"]}', str(tmp_path / "absent.yml")) == Manifest(pip=("one",))


@pytest.mark.parametrize("raw", [None, {}, {"models": None}, {"models": {}}, {"apt": None}, {"unknown": {"key": 1}}])
def test_all_of_it_is_optional_as_the_docs_of_the_original_promise(raw: Any) -> None:
    assert parse_manifest(raw, "MANIFEST_JSON") == Manifest()


def test_the_example() -> None:
    manifest = read_manifest("", str(ROOT / "examples" / "manifest.yml"))
    assert manifest is not None
    assert all((manifest.apt, manifest.pip, manifest.custom_nodes, manifest.before_start, manifest.after_start))


WRONG = [
    ([], "MANIFEST_JSON must be an object"),
    ({"apt": "git"}, r"MANIFEST_JSON: apt must be a list"),
    ({"pip": [1]}, r"pip\[0\] must be a text"),
    ({"pip": ["one", ""]}, r"pip\[1\] must be a text"),
    ({"custom_nodes": ["a\nb"]}, r"custom_nodes\[0\] must be a text"),
    ({"models": []}, "models must be an object"),
    ({"models": {"before_start": {}}}, r"models\.before_start must be a list"),
    ({"models": {"after_start": ["x"]}}, r"models\.after_start\[0\] must be an object with url and local_path"),
    ({"models": {"after_start": [{"url": "host/m", "local_path": "m"}]}}, r"after_start\[0\]\.url must be an absolute"),
    (
        {"models": {"after_start": [{"url": "http://[", "local_path": "m"}]}},
        r"after_start\[0\]\.url must be an absolute",
    ),
    ({"models": {"before_start": [{"url": "https://host/m"}]}}, r"before_start\[0\]\.local_path must be a text"),
]


@pytest.mark.parametrize(("raw", "sentence"), WRONG)
def test_a_wrong_field_is_named(raw: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_manifest(json.dumps(raw), "")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("m.toml", "", "must end in .yml, .yaml or .json"),
        ("absent.yml", None, "cannot be read: No such file"),
        ("m.yml", "a: [1", "is no valid YAML in line 1"),
        ("m.yml", "a: !!python/object/apply:os.system [x]", "is no valid YAML in line 1"),
        ("m.json", "{", "is no valid JSON"),
        ("m.json", "\udcff", "it is no UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read(name: str, content: str | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match=sentence):
        read_manifest("", str(file))
