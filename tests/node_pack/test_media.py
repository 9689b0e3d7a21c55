"""Batches of pictures, videos, sound and files, inside the embedded engine and inside a real ComfyUI."""

import base64
import io
import json
import re
import struct
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.context import EngineSettings, NodeContext, activate
from comfyserve.embedded.files.folders import Folders
from tests.embedded.media.files import RATE, grays, tone, write_video, write_wav

from .conftest import RunNode
from .origin import BadOrigin

BATCH = "ComfyUIDeployExternalImageBatch"
VIDEO = "ComfyUIDeployExternalVideo"
VID = "ComfyUIDeployExternalVid"
AUDIO = "ComfyUIDeployExternalAudio"
FILE = "ComfyUIDeployExternalFile"
FRAMES = {"force_rate": 0, "force_size": "Disabled", "frame_load_cap": 0, "skip_first_frames": 0}


def _png(level: int, width: int = 10, height: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def _uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _numbers(frames: Any) -> list[int]:
    """Which frames of `grays` these are."""
    return [round(float(frame.mean()) * 255 / 10) for frame in np.asarray(frames)]


@pytest.fixture
def clip(base: Path) -> str:
    """Ten frames at 10 per second, 32 x 16, with sound, in the input folder."""
    (base / "input").mkdir(exist_ok=True)
    write_video(base / "input" / "clip.mp4", grays(10), sound=tone(1.0))
    return "clip.mp4"


# ---- batches


def test_a_batch_comes_from_names_data_and_zip_files_in_order(run: RunNode, base: Path) -> None:
    (base / "input" / "a.png").write_bytes(_png(10))
    (base / "input" / "more.zip").write_bytes(_zip({"2.png": _png(20), "notes.txt": b"x", "sub/1.JPG": _png(30)}))
    items = ["a.png", "more.zip", _uri(_png(40))]
    (batch,) = run(BATCH, input_id="x", images=json.dumps(items))
    assert batch.dtype == np.float32
    assert [round(float(one.mean()) * 255) for one in batch] == [10, 20, 30, 40]


def test_pictures_are_cut_and_scaled_to_the_first(run: RunNode) -> None:
    wide = Image.new("RGB", (40, 8))
    wide.paste((255, 255, 255), (15, 0, 25, 8))
    buffer = io.BytesIO()
    wide.save(buffer, "PNG")
    (batch,) = run(BATCH, input_id="x", images=json.dumps([_uri(_png(0, 10, 8)), _uri(buffer.getvalue())]))
    assert batch.shape == (2, 8, 10, 3)
    assert batch[1].min() == 1


def test_an_empty_list_gives_the_default(run: RunNode) -> None:
    default = np.zeros((1, 4, 4, 3), np.float32)
    assert run(BATCH, input_id="x", images="[]", default_value=default)[0] is default
    with pytest.raises(ValueError, match="no value and no default"):
        run(BATCH, input_id="x", images="[]")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("not json", "must be a JSON list"),
        ('{"a": 1}', "must be a JSON list of texts"),
        ("[1]", "must be a JSON list of texts"),
        (json.dumps(["x"] * 1001), "1001 images; at most 1000"),
        (json.dumps([_uri(_png(1)), "gone.png"]), "Item 1 of the images: There is no file 'gone.png'"),
        (json.dumps([_uri(_png(1)), _uri(b"text")]), "Item 1 of the images: data:image/png;base64"),
        (json.dumps([_uri(_png(1)), ""]), "Item 1 of the images: it is empty"),
        (json.dumps([_uri(_png(1)), "https://example.com/a.png?key=secret"]), "Item 1 of the images: https://example"),
        (json.dumps([_uri(_zip({"a.txt": b"x"}))]), "has 0 pictures"),
        (json.dumps([_uri(_zip({"a.png": b"x"}))]), "a.png in data:image/png;base64"),
        (json.dumps([_uri(_zip({"a.png": b"\0" * 300_000_000}))]), "larger than"),
    ],
)
def test_a_failing_item_is_named(run: RunNode, images: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        run(BATCH, input_id="x", images=images, default_value=np.zeros((1, 4, 4, 3), np.float32))
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("open_loopback")
def test_inside_comfyui_items_are_downloaded(comfy_run: RunNode, origin: BadOrigin) -> None:
    origin.files |= {"/a.png": _png(10), "/b.zip": _zip({"x.png": _png(20), "y.png": _png(30)})}
    items = [f"{origin.url}/a.png?x=1", f"{origin.url}/b.zip", f"{origin.url}/a.png"]
    (batch,) = comfy_run(BATCH, input_id="x", images=json.dumps(items))
    assert [round(float(one.mean()) * 255) for one in np.asarray(batch)] == [10, 20, 30, 10]
    with pytest.raises(ValueError, match=r"Item 1 of the images: 127\.0\.0\.1 answers with status 404"):
        comfy_run(BATCH, input_id="x", images=json.dumps([items[0], f"{origin.url}/gone.png"]))


# ---- videos


def test_a_video_is_a_batch_with_sound_and_facts(run: RunNode, clip: str) -> None:
    frames, count, sound, info, _ = run(VIDEO, input_id=clip)
    assert frames.shape == (10, 16, 32, 3) and frames.dtype == np.float32
    assert _numbers(frames) == list(range(10))
    assert count == 10
    assert info == {
        "source_fps": 10.0,
        "source_frame_count": 10,
        "source_duration": 1.0,
        "source_width": 32,
        "source_height": 16,
        "loaded_fps": 10.0,
        "loaded_frame_count": 10,
        "loaded_duration": 1.0,
        "loaded_width": 32,
        "loaded_height": 16,
    }
    assert sound["sample_rate"] == RATE
    assert sound["waveform"].shape[:2] == (1, 1) and abs(sound["waveform"].shape[2] - RATE) < 3000


@pytest.mark.parametrize(
    ("options", "numbers", "rate"),
    [
        ({"frame_load_cap": 3}, [0, 1, 2], 10),
        ({"skip_first_frames": 7}, [7, 8, 9], 10),
        ({"select_every_nth": 4}, [0, 4, 8], 2.5),
        ({"skip_first_frames": 1, "select_every_nth": 3, "frame_load_cap": 2}, [1, 4], 10 / 3),
        ({"force_rate": 5}, [0, 2, 4, 6, 8], 5),
        ({"force_rate": 20, "frame_load_cap": 6}, [0, 0, 1, 1, 2, 2], 20),
        ({"force_rate": 5, "skip_first_frames": 1, "select_every_nth": 2}, [2, 6], 2.5),
    ],
)
def test_frames_are_chosen(run: RunNode, clip: str, options: dict[str, int], numbers: list[int], rate: float) -> None:
    frames, count, sound, info, _ = run(VIDEO, input_id=clip, **options)
    assert (_numbers(frames), count) == (numbers, len(numbers))
    assert info["loaded_fps"] == pytest.approx(rate)
    if options.get("frame_load_cap"):
        seconds = sound["waveform"].shape[2] / RATE
        assert seconds == pytest.approx(info["loaded_duration"], abs=0.01)


@pytest.mark.parametrize(
    ("force_size", "shape"),
    [
        ("Disabled", (16, 32)),
        ("256x?", (128, 256)),
        ("?x256", (256, 512)),
        ("256x256", (256, 256)),
        ("Custom Width", (24, 40)),
        ("Custom Height", (24, 48)),
        ("Custom", (24, 40)),
    ],
)
def test_frames_are_scaled(run: RunNode, clip: str, force_size: str, shape: tuple[int, int]) -> None:
    frames = run(VIDEO, input_id=clip, force_size=force_size, custom_width=40, custom_height=24, frame_load_cap=1)[0]
    assert frames.shape == (1, *shape, 3)


def test_a_video_is_turned_as_its_phone_says(run: RunNode, base: Path) -> None:
    frames = np.zeros((2, 16, 32, 3), np.uint8)
    frames[:, :, :8] = 255
    path = write_video(base / "input" / "upright.mp4", frames)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    quarter_turn_right = (0, 1 << 16, 0, -(1 << 16), 0, 0, 16 << 16, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *quarter_turn_right)
    path.write_bytes(content)
    turned, _, _, info, _ = run(VIDEO, input_id="upright.mp4")
    assert turned.shape == (2, 32, 16, 3)
    assert (info["source_width"], info["source_height"]) == (16, 32)
    assert turned[0, :6].mean() > 0.9 and turned[0, 10:].mean() < 0.1


def test_where_a_video_comes_from(run: RunNode, base: Path, clip: str) -> None:
    write_video(base / "input" / "other.mp4", grays(2))
    assert run(VIDEO, input_id=clip, default_video="other.mp4")[1] == 10
    assert run(VIDEO, input_id="input_video", default_video="other.mp4")[1] == 2
    assert run(VIDEO, input_id="input_video", default_value_url="other.mp4", default_video=clip)[1] == 2
    assert run(VID, input_id="input_video", default_value="other.mp4") == (str(base / "input" / "other.mp4"),)
    assert run(VID, input_id=clip, default_value="other.mp4") == (str(base / "input" / clip),)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"input_id": "input_video"}, "no value and no default"),
        ({"input_id": "gone.mp4", "default_video": "clip.mp4"}, "no file 'gone.mp4'"),
        ({"input_id": "text.mp4"}, "text.mp4 is no video that can be read"),
        ({"input_id": "tone.wav", "default_video": "tone.wav"}, "tone.wav has no pictures"),
        ({"input_id": "clip.mp4", "skip_first_frames": 99}, "no frame left"),
        ({"input_id": "clip.mp4", "force_size": "Custom", "custom_width": 0}, "must be above 0"),
        ({"input_id": "clip.mp4", "meta_batch": object()}, "does not work in batches"),
        ({"input_id": "https://example.com/a.mp4"}, "opens no URLs"),
    ],
)
def test_a_video_that_cannot_be_had_is_an_error(
    run: RunNode, base: Path, clip: str, inputs: dict[str, Any], words: str
) -> None:
    (base / "input" / "text.mp4").write_bytes(b"no video" * 100)
    write_wav(base / "input" / "tone.wav", tone(0.1))
    with pytest.raises(ValueError, match=re.escape(words)):
        run(VIDEO, **inputs)


def test_more_than_the_memory_allowed_is_refused(
    comfy_run: RunNode, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_BATCH_MB", "1")
    with pytest.raises(ValueError, match="COMFYSERVE_NODES_BATCH_MB"):
        comfy_run(VIDEO, input_id=clip, force_size="256x?")
    with pytest.raises(ValueError, match="COMFYSERVE_NODES_BATCH_MB"):
        comfy_run(BATCH, input_id="x", images=json.dumps([_uri(_png(1, 300, 300))]))


def test_the_embedded_engine_has_a_bound_of_its_own(pack: ModuleType, folders: Folders, clip: str) -> None:
    activate(NodeContext(folders=folders, settings=EngineSettings(picture_bytes=1000)))
    with pytest.raises(ValueError, match="--picture-megabytes"):
        pack.NODE_CLASS_MAPPINGS[VIDEO].run(input_id=clip)


def test_an_output_that_is_not_there_tells_its_reader(run: RunNode, base: Path) -> None:
    write_video(base / "input" / "mute.mp4", grays(2))
    _, _, sound, _, latent = run(VIDEO, input_id="mute.mp4")
    with pytest.raises(ValueError, match=r"mute\.mp4 has no sound"):
        sound["waveform"]
    with pytest.raises(ValueError, match="link a vae"):
        latent["samples"]
    assert (list(sound.items()), list(latent.values())) == ([], [])


def test_a_linked_vae_makes_latents(run: RunNode, clip: str) -> None:
    class Vae:
        def encode(self, frames: Any) -> Any:
            return frames.shape

    assert run(VIDEO, input_id=clip, vae=Vae())[4] == {"samples": (10, 16, 32, 3)}


@pytest.mark.usefixtures("open_loopback")
def test_inside_comfyui_a_video_is_downloaded_to_the_temp_folder(
    comfy_run: RunNode, base: Path, origin: BadOrigin, clip: str
) -> None:
    origin.files["/v.mp4"] = (base / "input" / clip).read_bytes()
    (path,) = comfy_run(VID, input_id=f"{origin.url}/v.mp4?sig=1")
    assert Path(path).parent == base / "temp" / "comfyserve"
    assert Path(path).suffix == ".mp4"
    assert _numbers(comfy_run(VIDEO, input_id=f"{origin.url}/v.mp4")[0]) == list(range(10))


def test_a_default_is_asked_for_only_where_it_is_used(pack: ModuleType, run: RunNode, clip: str) -> None:
    check = pack.NODE_CLASS_MAPPINGS[VIDEO].VALIDATE_INPUTS
    run(VIDEO, input_id=clip)
    assert check(input_id="input_video", default_video=clip) is True
    assert check(input_id="input_video", default_video=None) is True
    assert check(input_id="https://example.com/a.mp4", default_video="gone.mp4") is True
    assert "no 'gone.mp4'" in str(check(input_id="input_video", default_video="gone.mp4"))
    assert "leaves its folder" in str(check(input_id="input_video", default_video="../x.mp4"))


# ---- sound and files


def test_a_replaced_file_runs_again(pack: ModuleType, run: RunNode, base: Path) -> None:
    run(FILE, input_id="x")
    path = base / "input" / "a.png"
    inputs = {
        BATCH: {"images": '["a.png", "https://example.com/b.png"]'},
        FILE: {"file_url": "a.png"},
        AUDIO: {"audio_file": "a.png"},
        "ComfyUIDeployExternalEXR": {"exr_file": "a.png"},
    }
    for class_type, given in inputs.items():
        changed = pack.NODE_CLASS_MAPPINGS[class_type].IS_CHANGED
        path.write_bytes(b"one")
        first = changed(input_id="x", **given)
        assert changed(input_id="x", **given) == first
        path.write_bytes(b"two")
        assert changed(input_id="x", **given) != first


def test_sound_is_read_from_sound_and_video_files(run: RunNode, base: Path, clip: str) -> None:
    wave = tone(0.5, 2)
    write_wav(base / "input" / "tone.wav", wave)
    (sound,) = run(AUDIO, input_id="input_audio", audio_file="tone.wav")
    assert sound["sample_rate"] == RATE
    np.testing.assert_allclose(sound["waveform"], wave[np.newaxis], atol=1e-3)
    assert run(AUDIO, input_id="input_audio", audio_file=clip)[0]["waveform"].shape[1] == 1


def test_the_default_sound_counts_when_nothing_is_given(run: RunNode) -> None:
    default = {"waveform": np.zeros((1, 1, 10), np.float32), "sample_rate": RATE}
    assert run(AUDIO, input_id="input_audio", audio_file="", default_value=default) == (default,)
    for audio_file, words in (("", "no value and no default"), ("gone.wav", "no file"), ("http://x/a.wav", "no URLs")):
        with pytest.raises(ValueError, match=words):
            run(
                AUDIO,
                input_id="input_audio",
                audio_file=audio_file,
                **({"default_value": default} if audio_file else {}),
            )


def test_what_has_no_sound_is_an_error(run: RunNode, base: Path) -> None:
    (base / "input" / "text.wav").write_bytes(b"no sound" * 100)
    write_video(base / "input" / "mute.mp4", grays(2))
    for name in ("text.wav", "mute.mp4"):
        with pytest.raises(ValueError, match=f"{name} has no sound"):
            run(AUDIO, input_id="x", audio_file=name)


def test_a_file_is_given_by_its_path(run: RunNode, base: Path) -> None:
    (base / "input" / "a.csv").write_text("a,b")
    assert run(FILE, input_id="input_file", file_url="a.csv") == (str(base / "input" / "a.csv"),)
    assert run(FILE, input_id="input_file") == ("",)
    (path,) = run(FILE, input_id="input_file", file_url="data:text/plain;base64,aGVsbG8=")
    assert Path(path).read_text() == "hello"
    for outside in ("/etc/hostname", "../../etc/hostname", "gone.csv", "https://example.com/a.csv"):
        with pytest.raises(ValueError):
            run(FILE, input_id="input_file", file_url=outside)


@pytest.mark.usefixtures("open_loopback")
def test_inside_comfyui_a_file_is_downloaded_or_passed_on(comfy_run: RunNode, base: Path, origin: BadOrigin) -> None:
    origin.files["/a.csv"] = b"a,b"
    (path,) = comfy_run(FILE, input_id="input_file", file_url=f"{origin.url}/a.csv")
    assert (Path(path).read_bytes(), Path(path).suffix) == (b"a,b", ".csv")
    assert comfy_run(FILE, input_id="input_file", file_url="any text") == ("any text",)
    with pytest.raises(ValueError, match="status 404"):
        comfy_run(FILE, input_id="input_file", file_url=f"{origin.url}/gone")
