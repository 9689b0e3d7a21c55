"""EXR files: what is written can be read, what other programs write as well, and damaged ones are errors."""

import contextlib
import struct
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import RunNode
from .exr_files import exr_file

EXR = "ComfyUIDeployExternalEXR"
LIGHT = np.random.default_rng(1).normal(0.5, 2, (37, 21, 4)).astype(np.float32)


@pytest.mark.parametrize("channels", [3, 4])
def test_what_is_saved_is_read_again_exactly(run: RunNode, base: Path, channels: int) -> None:
    ui = run("ComfyDeployOutputEXR", images=LIGHT[np.newaxis, :, :, :channels])["ui"]
    (item,) = ui["images"]
    assert item == {
        "filename": "ComfyDeploy_EXR_00001_.exr",
        "subfolder": "",
        "type": "output",
        "output_id": "output_exr",
    }
    picture, mask = run(EXR, input_id="x", exr_file=f"{item['filename']} [output]", tonemap="linear")
    np.testing.assert_array_equal(picture[0], LIGHT[..., :3])
    np.testing.assert_array_equal(mask[0], np.clip(LIGHT[..., 3], 0, 1) if channels == 4 else np.zeros((37, 21)))


def test_gray_light_becomes_three_channels(run: RunNode) -> None:
    run("ComfyDeployOutputEXR", images=LIGHT[np.newaxis, :, :, :1])
    picture, _ = run(EXR, input_id="x", exr_file="ComfyDeploy_EXR_00001_.exr [output]", tonemap="linear")
    np.testing.assert_array_equal(picture[0], np.repeat(LIGHT[..., :1], 3, axis=-1))


def test_each_file_gets_a_number_of_its_own(run: RunNode, base: Path) -> None:
    for _ in range(2):
        run("ComfyDeployOutputEXR", images=LIGHT[np.newaxis, :2, :2, :3].repeat(2, axis=0))
    assert len(list((base / "output").glob("ComfyDeploy_EXR_0000?_.exr"))) == 4


@pytest.mark.parametrize("compression", ["NONE", "RLE", "ZIPS", "ZIP"])
@pytest.mark.parametrize("type_name", ["half", "float", "uint"])
def test_every_plain_kind_of_file_is_read(pack: ModuleType, compression: str, type_name: str) -> None:
    planes = {"B": LIGHT[..., 2], "G": LIGHT[..., 1], "R": LIGHT[..., 0]}
    if type_name == "uint":
        planes = dict.fromkeys(planes, np.arange(37 * 21, dtype=np.float32).reshape(37, 21) % 7)
    content = exr_file(planes, compression, type_name, top=-5)
    kind = {"half": np.float16, "float": np.float32, "uint": np.uint32}[type_name]
    wanted = np.stack([planes[name].astype(kind).astype(np.float32) for name in "RGB"], axis=-1)
    np.testing.assert_array_equal(pack._exr.read(content), wanted)


def test_layers_are_told_apart(pack: ModuleType) -> None:
    planes = {f"{layer}{name}": LIGHT[..., index] for layer in ("", "diffuse.") for index, name in enumerate("RGB")}
    planes["depth.Z"] = LIGHT[..., 3]
    np.testing.assert_array_equal(pack._exr.read(exr_file(planes, "ZIP", "float")), LIGHT[..., :3])
    only = {name: plane for name, plane in planes.items() if name.startswith("diffuse")}
    np.testing.assert_array_equal(pack._exr.read(exr_file(only, "ZIP", "float")), LIGHT[..., :3])


def test_light_is_mapped_as_asked(run: RunNode, base: Path) -> None:
    planes = {name: np.array([[0.0, 0.002, 0.5, 4.0, -1.0]], np.float32) for name in "RGB"}
    (base / "input" / "a.exr").write_bytes(exr_file(planes, "NONE", "float"))
    wanted = {
        "linear": [0.0, 0.002, 0.5, 4.0, -1.0],
        "sRGB": [0.0, 0.02584, 0.735357, 1.0, 0.0],
        "Reinhard": [0.0, 0.025788, 0.612501, 0.906332, 0.0],
    }
    for tonemap, values in wanted.items():
        picture, _ = run(EXR, input_id="x", exr_file="a.exr", tonemap=tonemap)
        np.testing.assert_allclose(picture[0, 0, :, 0], values, atol=1e-5)


def test_defaults_count_when_nothing_is_given(run: RunNode) -> None:
    default = np.ones((1, 4, 6, 3), np.float32)
    picture, mask = run(EXR, input_id="input_exr", default_image=default)
    assert picture is default
    assert mask.shape == (1, 4, 6) and not mask.any()
    with pytest.raises(ValueError, match="no value and no default"):
        run(EXR, input_id="input_exr")


def _damaged() -> dict[str, bytes]:
    good = exr_file({"R": LIGHT[..., 0]}, "ZIP", "float")
    smooth = exr_file({"R": np.ones((16, 64), np.float32)}, "ZIP", "float")
    bomb = exr_file({"R": np.zeros((16, 8), np.float32)}, "ZIP", "float", packed=zlib.compress(b"\0" * 10_000_000))
    return {
        "empty": b"",
        "another": b"\x89PNG\r\n\x1a\n" + b"x" * 100,
        "cut": good[: len(good) // 2],
        "header only": good[:60],
        "flipped": smooth[:-10] + b"\xff" * 10,
        "huge": good.replace(struct.pack("<4i", 0, 0, 20, 36), struct.pack("<4i", 0, 0, 2**30, 2**30)),
        "negative": good.replace(struct.pack("<4i", 0, 0, 20, 36), struct.pack("<4i", 0, 0, -9, 36)),
        "bomb": bomb,
    }


@pytest.mark.parametrize("name", _damaged())
def test_a_damaged_file_is_an_error(run: RunNode, base: Path, name: str) -> None:
    (base / "input" / "bad.exr").write_bytes(_damaged()[name])
    with pytest.raises(ValueError, match=r"bad\.exr cannot be read"):
        run(EXR, input_id="x", exr_file="bad.exr", default_image=LIGHT[np.newaxis])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    compression=st.sampled_from(["NONE", "RLE", "ZIPS", "ZIP"]),
    changes=st.lists(st.tuples(st.integers(0, 700), st.binary(max_size=8), st.integers(0, 8)), max_size=4),
)
def test_whatever_the_bytes_are_it_is_a_picture_or_an_error(
    comfy: ModuleType, compression: str, changes: list[tuple[int, bytes, int]]
) -> None:
    content = bytearray(exr_file({"R": LIGHT[:20, :9, 0]}, compression, "half"))
    for place, written, taken in changes:
        content[place : place + taken] = written
    with contextlib.suppress(ValueError):
        assert comfy._exr.read(bytes(content)).shape[-1] in (3, 4)


@pytest.mark.parametrize("compression", ["PIZ", "DWAA"])
def test_what_needs_a_library_says_so(pack: ModuleType, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = exr_file({"R": LIGHT[..., 0]}, compression, "float", packed=b"x")
    with pytest.raises(ValueError, match=f"its compression is {compression}, which needs the package"):
        pack._exr.read(content)
