"""The output nodes and the string tool inside the embedded engine."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.core.outputs import read_outputs
from comfyserve.embedded.folders import Folders

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
