"""File names that a caller has a hand in: nothing is written outside of the output folder, and nothing over another."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.folders import Folders

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
    run: RunNode, comfy_run: RunNode, base: Path, class_type: str, inputs: dict[str, Any], file_type: Any
) -> None:
    before = everything(base)
    for call in (run, comfy_run):
        with pytest.raises(ValueError, match="file_type must be one of"):
            call(class_type, file_type=file_type, **inputs)
    assert everything(base) == before


@pytest.mark.parametrize("quality", [0, 101, 10**30, float("nan"), "high", -1])
def test_a_quality_out_of_bounds_is_refused(run: RunNode, quality: Any) -> None:
    with pytest.raises(ValueError, match="quality must be a number from 1 to 100"):
        run("ComfyDeployOutputImage", images=PICTURE, file_type="jpg", quality=quality)


@pytest.mark.parametrize("home", ["embedded", "comfyui"])
def test_names_with_the_batch_number_go_on_counting(home: str, request: pytest.FixtureRequest, base: Path) -> None:
    call = request.getfixturevalue("run" if home == "embedded" else "comfy_run")
    (base / "output").mkdir(exist_ok=True)
    names = []
    for _ in range(2):
        given = {"images": np.zeros((2, 4, 4, 3), np.float32), "filename_prefix": "b%batch_num%", "file_type": "png"}
        names += [item["filename"] for item in call("ComfyDeployOutputImage", **given)["ui"]["images"]]
    assert names == ["b0_00001_.png", "b1_00002_.png", "b0_00003_.png", "b1_00004_.png"]
