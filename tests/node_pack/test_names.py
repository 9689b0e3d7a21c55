"""File names that a caller has a hand in: nothing is written outside of the output folder, and nothing over another."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.context import NodeContext, activate
from comfyserve.embedded.files.folders import Folders

from .conftest import RunNode

PICTURE = np.zeros((1, 4, 4, 3), np.float32)
ESCAPES = ["/../../custom_nodes/evil.py", "/../x", "py", "png/../../x", "a\0b", "", "..", 5, "txt/../x.txt"]


def everything(base: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(base).as_posix(): path.read_bytes() if path.is_file() else None for path in base.rglob("*")
    }


def test_a_file_type_that_came_over_a_link_cannot_leave_the_folder(run: RunNode, folders: Folders) -> None:
    (folders.output / "a0_00001_.").mkdir()
    before = everything(folders.base)
    with pytest.raises(ValueError, match=r"file_type must be one of txt, json, md"):
        run(
            "ComfyDeployOutputText",
            text="print('x')",
            filename_prefix="a%batch_num%",
            file_type="/../../custom_nodes/evil.py",
        )
    assert everything(folders.base) == before


@pytest.mark.parametrize("home", ["run", "comfy_run"])
@pytest.mark.parametrize("file_type", ESCAPES)
@pytest.mark.parametrize(
    ("class_type", "inputs"),
    [
        ("ComfyDeployOutputImage", {"images": PICTURE}),
        ("ComfyDeployOutputText", {"text": "x"}),
        ("ComfyDeployWebscoketImageOutput", {"images": PICTURE, "output_id": "o"}),
    ],
)
def test_a_hostile_file_type_writes_nothing(
    request: pytest.FixtureRequest, base: Path, home: str, class_type: str, inputs: dict[str, Any], file_type: Any
) -> None:
    call: RunNode = request.getfixturevalue(home)
    before = everything(base)
    with pytest.raises(ValueError, match="file_type must be one of"):
        call(class_type, file_type=file_type, **inputs)
    assert everything(base) == before


@pytest.mark.parametrize("quality", [0, 101, 10**30, float("nan"), "high", -1])
def test_a_quality_out_of_bounds_is_refused(run: RunNode, quality: Any) -> None:
    with pytest.raises(ValueError, match="quality must be a number from 1 to 100"):
        run("ComfyDeployOutputImage", images=PICTURE, file_type="jpg", quality=quality)


@pytest.mark.parametrize("home", ["run", "comfy_run"])
def test_names_with_the_batch_number_go_on_counting(home: str, request: pytest.FixtureRequest, base: Path) -> None:
    call: RunNode = request.getfixturevalue(home)
    (base / "output").mkdir(exist_ok=True)
    names = []
    for _ in range(2):
        given = {"images": np.zeros((2, 4, 4, 3), np.float32), "filename_prefix": "b%batch_num%", "file_type": "png"}
        names += [item["filename"] for item in call("ComfyDeployOutputImage", **given)["ui"]["images"]]
    assert names == ["b0_00001_.png", "b1_00002_.png", "b0_00003_.png", "b1_00004_.png"]


@pytest.mark.parametrize("home", ["run", "comfy_run"])
@pytest.mark.parametrize("ending", ["/../x", "a/b", "", "..", "p\0ng"])
def test_a_strange_ending_is_refused_by_either_engine(home: str, request: pytest.FixtureRequest, ending: str) -> None:
    request.getfixturevalue(home)
    pack = request.getfixturevalue("pack" if home == "run" else "comfy")
    if home == "run":
        activate(NodeContext(folders=request.getfixturevalue("folders")))
    _, _, name = pack._host.engine().output_names("x", 1, 1)
    with pytest.raises(ValueError, match=r"no ending|no plain file name"):
        name(0, ending)


@pytest.mark.parametrize(
    ("class_type", "inputs"),
    [
        ("ComfyDeployOutputFile", {"file_path": "x" * 300}),
        ("ComfyUIDeployExternalLora", {"input_id": "i", "default_lora_name": "x" * 300}),
    ],
)
def test_a_name_that_is_too_long_is_no_file(
    run: RunNode, folders: Folders, class_type: str, inputs: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="There is no") as refused:
        run(class_type, **inputs)
    assert str(folders.base) not in str(refused.value)
