"""Pictures from the input folder, from data URIs and, only inside a real ComfyUI, from URLs."""

import base64
import io
import re
import struct
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.context import NodeContext, activate
from comfyserve.embedded.files.folders import Folders

from .conftest import RunNode
from .origin import BadOrigin

IMAGE = "ComfyUIDeployExternalImage"
ALPHA = "ComfyUIDeployExternalImageAlpha"
TURNED_RIGHT = 6


def _png(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def _data_uri(picture: Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(_png(picture)).decode()}"


def _levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.float32)[np.newaxis] / np.float32(255)


def test_a_staged_file_loses_its_alpha_or_keeps_it(run: RunNode, folders: Folders, picture: Image.Image) -> None:
    (folders.input / "comfyserve").mkdir()
    picture.save(folders.input / "comfyserve" / "a.png")
    (rgb,) = run(IMAGE, input_id="comfyserve/a.png")
    (rgba,) = run(ALPHA, input_id="comfyserve/a.png")
    assert rgb.dtype == rgba.dtype == np.float32
    np.testing.assert_array_equal(rgb, _levels(picture.convert("RGB")))
    np.testing.assert_array_equal(rgba, _levels(picture))


def test_a_picture_without_alpha_gets_none(run: RunNode, picture: Image.Image) -> None:
    assert run(ALPHA, input_id=_data_uri(picture.convert("RGB")))[0].shape == (1, 8, 10, 3)
    assert run(ALPHA, input_id=_data_uri(picture.convert("L")))[0].shape == (1, 8, 10, 3)


def test_a_photo_is_turned_as_its_camera_says(run: RunNode, folders: Folders, picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = TURNED_RIGHT
    (folders.input / "photo.png").write_bytes(_png(picture, exif=exif))
    (turned,) = run(ALPHA, input_id="photo.png")
    np.testing.assert_array_equal(turned, _levels(picture.rotate(-90, expand=True)))


def test_sixteen_bits_become_levels_between_0_and_1(run: RunNode, folders: Folders) -> None:
    Image.fromarray(np.array([[0, 65535]], dtype=np.uint16)).save(folders.input / "deep.png")
    assert run(IMAGE, input_id="deep.png")[0].tolist() == [[[[0, 0, 0], [1, 1, 1]]]]


def test_the_default_url_counts_when_the_name_was_not_replaced(run: RunNode, picture: Image.Image) -> None:
    assert run(IMAGE, input_id="input_image", default_value_url=_data_uri(picture))[0].shape == (1, 8, 10, 3)


def test_the_linked_default_comes_last(run: RunNode, picture: Image.Image) -> None:
    linked = np.zeros((1, 4, 4, 3), np.float32)
    assert run(IMAGE, input_id="input_image", default_value=linked)[0] is linked
    assert run(IMAGE, input_id=_data_uri(picture), default_value=linked)[0] is not linked


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("input_image", "no value and no default"),
        ("", "no value and no default"),
        ("gone.png", "no file 'gone.png'"),
        ("comfyserve/gone", "no file"),
        ("../../etc/hostname.png", "leaves its folder"),
        ("https://example.com/a.png", "opens no URLs"),
        ("data:image/png;base64,AAAA", "is not a picture"),
        ("data:image/png;base64,!!", "not valid base64"),
        ("data:text/plain;base64,AAAA", "is not a picture"),
        ("data:image/png,AAAA", "data:image/png;base64,"),
    ],
)
def test_what_is_no_picture_is_an_error_that_says_so(run: RunNode, source: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        run(IMAGE, input_id=source)


def test_a_picture_that_another_program_would_read_is_refused(run: RunNode, folders: Folders) -> None:
    Image.new("RGB", (8, 4)).save(folders.input / "a.png", "EPS")
    with pytest.raises(ValueError, match=r"a\.png is not a picture of the formats PNG, JPEG"):
        run(IMAGE, input_id="a.png")


def test_a_broken_picture_is_an_error_although_there_is_a_default(run: RunNode, folders: Folders) -> None:
    (folders.input / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n junk")
    with pytest.raises(ValueError, match="picture"):
        run(IMAGE, input_id="broken.png", default_value=np.zeros((1, 4, 4, 3), np.float32))


def test_a_replaced_file_runs_again(pack: ModuleType, folders: Folders, picture: Image.Image) -> None:
    activate(NodeContext(folders=folders))
    changed = pack.NODE_CLASS_MAPPINGS[IMAGE].IS_CHANGED
    picture.save(folders.input / "a.png")
    first = changed(input_id="a.png")
    assert changed(input_id="a.png") == first
    picture.rotate(180).save(folders.input / "a.png")
    assert changed(input_id="a.png") != first


@pytest.mark.usefixtures("open_loopback")
def test_inside_comfyui_names_and_urls_both_work(
    comfy_run: RunNode, base: Path, origin: BadOrigin, picture: Image.Image
) -> None:
    picture.save(base / "input" / "a.png")
    origin.files["/a.png"] = _png(picture)
    for source in ("a.png", f"{origin.url}/a.png"):
        samples = np.asarray(comfy_run(ALPHA, input_id=source)[0])
        np.testing.assert_array_equal(samples, _levels(picture))


def test_inside_comfyui_a_failed_download_is_an_error(comfy_run: RunNode, origin: BadOrigin) -> None:
    with pytest.raises(ValueError, match="not a public address"):
        comfy_run(IMAGE, input_id=f"{origin.url}/a.png", default_value=np.zeros((1, 4, 4, 3), np.float32))


def test_inside_comfyui_names_stay_in_its_folders(comfy_run: RunNode) -> None:
    with pytest.raises(ValueError, match="leaves ComfyUI's folders"):
        comfy_run(IMAGE, input_id="../../etc/hostname.png")


def test_inside_comfyui_outputs_are_saved_under_its_names(comfy_run: RunNode, base: Path) -> None:
    saved = comfy_run("ComfyDeployOutputImage", images=np.zeros((2, 4, 4, 3), np.float32), file_type="png")
    assert [item["filename"] for item in saved["ui"]["images"]] == ["ComfyUI_00007_.png", "ComfyUI_00008_.png"]
    assert all((base / "output" / one["filename"]).is_file() for one in saved["ui"]["images"])


def _head(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no samples."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
@pytest.mark.parametrize(
    ("home", "setting"), [("run", "--picture-megabytes"), ("comfy_run", "COMFYSERVE_NODES_BATCH_MB")]
)
def test_a_picture_that_is_too_large_names_the_setting(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, home: str, setting: str, side: int
) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_BATCH_MB", "1024")
    call: RunNode = request.getfixturevalue(home)
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match=setting):
        call(IMAGE, input_id=f"data:image/png;base64,{base64.b64encode(_head(side, side)).decode()}")
    assert before == Image.MAX_IMAGE_PIXELS
