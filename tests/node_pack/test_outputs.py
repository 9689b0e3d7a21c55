"""The output nodes and the string tool inside the embedded engine."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.core.outputs import read_outputs
from comfyserve.embedded.files.folders import Folders

from .conftest import RunNode

LEVELS = np.linspace(0, 1, 4 * 4 * 3, dtype=np.float32).reshape(1, 4, 4, 3)


@pytest.mark.parametrize(("file_type", "format_name"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_pictures_are_saved_in_each_format(run: RunNode, folders: Folders, file_type: str, format_name: str) -> None:
    ui = run("ComfyDeployOutputImage", images=LEVELS, filename_prefix="sub/cap", file_type=file_type, output_id="mine")[
        "ui"
    ]
    (item,) = ui["images"]
    assert item == {"filename": f"cap_00001_.{file_type}", "subfolder": "sub", "type": "output", "output_id": "mine"}
    with Image.open(folders.output / "sub" / item["filename"]) as saved:
        assert (saved.format, saved.size) == (format_name, (4, 4))


def test_a_png_has_exact_levels_and_the_prompt(run: RunNode, folders: Folders) -> None:
    prompt = {"1": {"class_type": "A"}}
    run("ComfyDeployOutputImage", images=LEVELS, file_type="png", prompt=prompt, extra_pnginfo={"workflow": {"n": 1}})
    with Image.open(folders.output / "ComfyUI_00001_.png") as saved:
        assert json.loads(saved.info["prompt"]) == prompt
        assert json.loads(saved.info["workflow"]) == {"n": 1}
        np.testing.assert_array_equal(np.asarray(saved), (LEVELS[0] * 255).astype(np.uint8))


def test_names_go_on_counting(run: RunNode) -> None:
    names = [run("ComfyDeployOutputImage", images=LEVELS)["ui"]["images"][0]["filename"] for _ in range(2)]
    assert names == ["ComfyUI_00001_.webp", "ComfyUI_00002_.webp"]


@pytest.mark.parametrize("channels", [2, 5])
def test_a_strange_number_of_channels_is_refused(run: RunNode, channels: int) -> None:
    with pytest.raises(ValueError, match="1, 3 or 4"):
        run("ComfyDeployOutputImage", images=np.zeros((1, 4, 4, channels), np.float32))


@pytest.mark.parametrize(
    ("text", "file_type", "written"),
    [
        ("hällo", "txt", "hällo"),
        ('{"a":[1]}', "json", '{\n  "a": [\n    1\n  ]\n}'),
        ("not json", "json", "not json"),
        ("# a", "md", "# a"),
    ],
)
def test_texts_are_saved(run: RunNode, folders: Folders, text: str, file_type: str, written: str) -> None:
    ui = run("ComfyDeployOutputText", text=text, file_type=file_type)["ui"]
    (output,) = read_outputs({"1": ui})
    assert output.key == "text_file"
    assert output.file is not None
    assert (folders.output / output.file.filename).read_text(encoding="utf-8") == written


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"action": "append", "tidy_tags": "yes", "text_a": "a", "text_b": "", "text_c": "c"}, "a, c"),
        ({"action": "append", "tidy_tags": "no", "text_a": "a", "text_b": "b"}, "ab"),
        (
            {"action": "append", "tidy_tags": "yes", "text_a": "a  b ,c", "text_b": ",d"},
            "a b,c,d",
        ),
        ({"action": "replace", "tidy_tags": "no", "text_a": "a.b", "text_b": ".", "text_c": "-"}, "a-b"),
        ({"action": "replace", "tidy_tags": "no", "text_a": "a1b22", "text_b": r"/\d+/", "text_c": "#"}, "a#b#"),
        ({"action": "replace", "tidy_tags": "no", "text_a": "abc", "text_b": "", "text_c": "x"}, "abc"),
    ],
)
def test_texts_are_combined(run: RunNode, inputs: dict[str, Any], text: str) -> None:
    for class_type in ("ComfyUIDeployStringCombine", "StringFunction"):
        assert run(class_type, **inputs) == {"ui": {"text": [text]}, "result": (text,)}


def test_a_broken_pattern_is_an_error(run: RunNode) -> None:
    with pytest.raises(ValueError, match="not a valid pattern"):
        run("StringFunction", action="replace", tidy_tags="no", text_a="a", text_b="/(/", text_c="")


@pytest.mark.parametrize(
    ("name", "key"),
    [("a.PNG", "images"), ("a.wav", "audio"), ("a.csv", "text_file"), ("a.glb", "files"), ("a.exr", "images")],
)
def test_a_file_of_the_output_folder_is_told_in_place(run: RunNode, folders: Folders, name: str, key: str) -> None:
    path = folders.output / "sub" / name
    path.parent.mkdir()
    path.write_bytes(b"content")
    item = {"filename": name, "subfolder": "sub", "type": "output", "output_id": "mine"}
    for given in (str(path), f"sub/{name}"):
        assert run("ComfyDeployOutputFile", file_path=given, output_id="mine") == {"ui": {key: [item]}}


@pytest.mark.parametrize("folder", ["temp", "input"])
def test_a_file_of_another_folder_is_copied(run: RunNode, folders: Folders, folder: str) -> None:
    path = folders.of_type(folder) / "a.bin"
    path.write_bytes(b"content")
    (item,) = run("ComfyDeployOutputFile", file_path=str(path))["ui"]["files"]
    assert (item["subfolder"], item["type"]) == ("temp", "output")
    path.unlink()
    assert (folders.output / "temp" / item["filename"]).read_bytes() == b"content"


def test_a_file_that_may_not_be_given_is_an_error(run: RunNode, folders: Folders) -> None:
    (folders.base / "secret.txt").touch()
    (folders.output / "link.txt").symlink_to(folders.base / "secret.txt")
    outside = ["/etc/hostname", str(folders.base / "secret.txt"), "../secret.txt", str(folders.output / "link.txt")]
    for path in outside:
        with pytest.raises(ValueError, match="outside of the engine's folders"):
            run("ComfyDeployOutputFile", file_path=path)
    for path, words in (("gone.txt", "no file 'gone.txt'"), ("", "empty"), ("a\0b", "no path")):
        with pytest.raises(ValueError, match=words):
            run("ComfyDeployOutputFile", file_path=path)


def test_inside_comfyui_a_trained_model_may_be_given(comfy_run: RunNode, base: Path) -> None:
    (base / "models" / "loras" / "own.safetensors").write_bytes(b"weights")
    path = str(base / "models" / "loras" / "own.safetensors")
    (item,) = comfy_run("ComfyDeployOutputFile", file_path=path)["ui"]["files"]
    assert (base / "output" / "temp" / item["filename"]).read_bytes() == b"weights"


def test_without_a_session_pictures_are_previews(run: RunNode, folders: Folders) -> None:
    ui = run(
        "ComfyDeployWebscoketImageOutput", output_id="o", images=np.zeros((2, 4, 4, 3), np.float32), file_type="PNG"
    )
    items = ui["ui"]["images"]
    assert [(item["subfolder"], item["type"], item["output_id"]) for item in items] == [("comfyserve", "temp", "o")] * 2
    with Image.open(folders.temp / "comfyserve" / items[0]["filename"]) as saved:
        assert (saved.format, saved.size) == ("PNG", (4, 4))


def test_a_realtime_input_has_its_default_or_says_why_not(run: RunNode, pack: ModuleType) -> None:
    default = np.zeros((1, 4, 4, 3), np.float32)
    node = "ComfyDeployWebscoketImageInput"
    assert run(node, input_id="x", default_value=default)[0] is default
    with pytest.raises(ValueError, match="fed by a realtime session"):
        run(node, input_id="x")
    check = pack.NODE_CLASS_MAPPINGS[node].VALIDATE_INPUTS
    assert check(input_id="x" * 24) is True
    for wrong in ("x" * 25, "ä"):
        assert "at most 24" in str(check(input_id=wrong))
