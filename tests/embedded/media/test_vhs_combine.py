import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageSequence

from comfyserve.embedded.context import EngineSettings, Interrupted, NodeContext
from comfyserve.embedded.media.sound import as_audio
from comfyserve.embedded.nodes import vhs_combine, vhs_load
from comfyserve.embedded.nodes.vhs_formats import FORMATS, WIDGETS
from comfyserve.embedded.nodes.vhs_render import PILLOW_FORMATS
from comfyserve.embedded.pixels.arrays import Image, from_bytes

from .conftest import Heard, with_settings
from .files import RATE, grays, levels, seconds, tone, write_video

GRAPH = {"7": {"class_type": "VHS_VideoCombine", "inputs": {}}}
SOUND = as_audio(tone(0.3)[None], RATE)
NVENC = {name for name, known in FORMATS.items() if known.codec.endswith("_nvenc")}
SILENT = {"16bit-png", "8bit-png", "ffmpeg-gif"}


def combine(images: Image | None = None, **given: Any) -> tuple[list[dict[str, Any]], tuple[bool, list[Path]]]:
    """The items that are shown, and the files."""
    frames = from_bytes(grays(4)) if images is None else images
    ui, (saved, files) = vhs_combine.combine_video(frames, **{"frame_rate": 10.0} | given)
    return ui.get("gifs", []), (saved, [Path(name) for name in files])


def decoded(path: Path) -> Image:
    with av.open(str(path)) as container:
        return from_bytes(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]))


def codecs(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.codec.name for stream in container.streams]


def tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


def pillow_frames(path: Path) -> Iterator[Any]:
    with Pillow.open(path) as picture:
        yield from (frame.convert("RGB") for frame in ImageSequence.Iterator(picture))


def test_a_gif_with_its_still_is_shown_under_gifs(context: NodeContext) -> None:
    shown, (saved, files) = combine(filename_prefix="sub/clip", prompt=GRAPH, extra_pnginfo={"workflow": {"x": 1}})
    folder = context.folders.output / "sub"
    assert shown == [
        {
            "filename": "clip_00001.gif",
            "subfolder": "sub",
            "type": "output",
            "format": "image/gif",
            "frame_rate": 10.0,
            "workflow": "clip_00001.png",
            "fullpath": str(folder / "clip_00001.gif"),
        }
    ]
    assert (saved, files) == (True, [folder / "clip_00001.png", folder / "clip_00001.gif"])
    with Pillow.open(files[0]) as still:
        assert json.loads(still.info["prompt"]) == GRAPH and json.loads(still.info["workflow"]) == {"x": 1}
        assert set(still.info) == {"prompt", "workflow", "CreationTime"}
    with Pillow.open(files[1]) as gif:
        assert (gif.info["duration"], gif.info["loop"]) == (100, 0)
    assert len(list(pillow_frames(files[1]))) == 4


def test_each_call_takes_one_counter_and_temp_is_a_choice(context: NodeContext) -> None:
    combine()
    (shown,), (saved, files) = combine(format="video/h264-mp4", save_output=False)
    assert (shown["type"], shown["filename"], saved) == ("temp", "AnimateDiff_00001.mp4", False)
    assert {path.parent for path in files} == {context.folders.temp}
    (again,), _ = combine(format="video/h264-mp4")
    assert again["filename"] == "AnimateDiff_00002.mp4"


@pytest.mark.parametrize("form", PILLOW_FORMATS)
def test_a_ping_pong_goes_back_without_its_ends(context: NodeContext, form: str) -> None:
    _, (_, files) = combine(format=form, pingpong=True, loop_count=3)
    found = [round(float(np.asarray(frame).mean()) / 10) * 10 for frame in pillow_frames(files[-1])]
    assert found == [0, 10, 20, 30, 20, 10]
    with Pillow.open(files[-1]) as picture:
        assert picture.info["loop"] == 3


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - NVENC - SILENT))
def test_every_video_format_holds_frames_and_sound(context: NodeContext, name: str) -> None:
    shown, (_, files) = combine(format=f"video/{name}", audio=SOUND, prompt=GRAPH)
    ending = FORMATS[name].extension
    assert [path.name for path in files] == [
        "AnimateDiff_00001.png",
        f"AnimateDiff_00001.{ending}",
        f"AnimateDiff_00001-audio.{ending}",
    ]
    assert shown[0]["filename"] == files[-1].name and shown[0]["format"] == f"video/{name}"
    assert levels(decoded(files[1])) == levels(decoded(files[2])) == [0, 10, 20, 30]
    assert (len(codecs(files[1])), len(codecs(files[2]))) == (1, 2)
    assert seconds(files[2]) == pytest.approx(0.4, abs=0.05), "the sound is as long as the pictures"
    if any(widget[0] == "save_metadata" for widget in FORMATS[name].widgets):
        assert json.loads(tags(files[1])["prompt"]) == json.loads(tags(files[2])["prompt"]) == GRAPH


@pytest.mark.parametrize("name", sorted(SILENT))
def test_a_format_without_sound_says_so(context: NodeContext, name: str) -> None:
    with pytest.raises(ValueError, match=f"video/{name} holds no sound"):
        combine(format=f"video/{name}", audio=SOUND)


@pytest.mark.parametrize(("name", "top"), [("8bit-png", 255), ("16bit-png", 65535)])
def test_single_pictures_are_all_shown(context: NodeContext, name: str, top: int) -> None:
    images = np.full((2, 4, 4, 3), 0.4, np.float32)
    shown, (_, files) = combine(images, format=f"video/{name}")
    assert [item["filename"] for item in shown] == ["AnimateDiff_00001.001.png", "AnimateDiff_00001.002.png"]
    assert {item["format"] for item in shown} == {"image/png"}
    with av.open(str(files[1])) as container:
        (frame,) = container.decode(video=0)
        assert frame.to_ndarray()[0, 0, 0] == round(0.4 * top)


def test_a_gif_by_ffmpeg_has_one_palette(context: NodeContext) -> None:
    _, (_, files) = combine(format="video/ffmpeg-gif", dither="none", loop_count=1)
    assert levels(decoded(files[-1])) == [0, 10, 20, 30] * 2


@pytest.mark.parametrize("name", sorted(NVENC))
def test_without_a_gpu_its_encoders_say_what_they_need(context: NodeContext, name: str) -> None:
    try:
        combine(format=f"video/{name}")
    except ValueError as reason:
        assert "NVIDIA GPU" in str(reason) or "cannot encode" in str(reason)
        assert not list(context.folders.output.glob("*.mp4"))


def test_widgets_of_the_format_reach_the_encoder(context: NodeContext) -> None:
    noise = np.random.default_rng(0).random((4, 64, 64, 3), np.float32)
    _, (_, good) = combine(noise, format="video/h264-mp4", crf="1", save_metadata=False, prompt=GRAPH)
    _, (_, bad) = combine(noise, format="video/h264-mp4", crf=45, pix_fmt="yuv420p10le", prompt=GRAPH)
    assert good[-1].stat().st_size > 2 * bad[-1].stat().st_size
    assert "prompt" not in tags(good[-1]) and "prompt" in tags(bad[-1])
    with av.open(str(bad[-1])) as container:
        video = container.streams.video[0]
        assert video.format.name == "yuv420p10le"
        assert video.codec_context.colorspace == video.codec_context.color_trc == 1, "BT.709"


@pytest.mark.parametrize(
    ("widget", "said"), [({"pix_fmt": "rgb565"}, "Use one of: yuv420p"), ({"crf": 101}, "use 0 to 100")]
)
def test_a_value_that_a_widget_does_not_have_is_refused(
    context: NodeContext, widget: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        combine(format="video/h264-mp4", **widget)


def test_an_unknown_format_is_refused(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="There is no format 'video/mpeg9'"):
        combine(format="video/mpeg9")


def test_odd_sides_repeat_their_last_line(context: NodeContext) -> None:
    images = from_bytes(grays(2, 31, 15))
    images[:, -1, :] = 1
    frames = decoded(combine(images, format="video/h264-mp4", crf=1)[1][1][-1])
    assert frames.shape == (2, 16, 32, 3)
    assert frames[0, 14:].mean() > 0.9


def test_pictures_can_end_with_the_sound(context: NodeContext) -> None:
    long = from_bytes(grays(25))
    _, (_, files) = combine(long, format="video/webm", audio=as_audio(tone(1.0)[None], RATE), trim_to_audio=True)
    assert seconds(files[1]) == pytest.approx(2.5, abs=0.01)
    assert seconds(files[2]) == pytest.approx(1.0, abs=0.15)


def test_silence_behind_a_sound_is_bounded_before_anything_is_encoded(context: NodeContext) -> None:
    with_settings(context, EngineSettings(media_bytes=2**20))
    with pytest.raises(ValueError, match="Use a shorter sound"):
        combine(format="video/webm", audio=SOUND, frame_rate=1, loop_count=100)
    assert list(context.folders.output.glob("*.webm")) == []


def test_the_sound_of_a_silent_video_is_no_sound(context: NodeContext) -> None:
    images, _, sound, _ = vhs_load.load_video(write_video(context.folders.input / "a.mp4", grays(4)).name)
    _, (_, files) = combine(images, format="video/h264-mp4", audio=sound)
    assert [path.suffix for path in files] == [".png", ".mp4"]


def test_the_editors_settings_keep_fewer_files(context: NodeContext) -> None:
    wishes = {"workflow": {"extra": {"VHS_MetadataImage": False, "VHS_KeepIntermediate": False}}}
    _, (_, files) = combine(format="video/h264-mp4", audio=SOUND, extra_pnginfo=wishes)
    assert list(context.folders.output.iterdir()) == [files[-1]]


def test_no_frames_make_no_file_and_latents_are_refused(context: NodeContext) -> None:
    assert combine(np.zeros((0, 4, 4, 3), np.float32)) == ([], (True, []))
    with pytest.raises(ValueError, match="VAE Decode"):
        combine({"samples": None})  # type: ignore[arg-type] # what a latent looks like
    assert not list(context.folders.output.iterdir())


def test_an_interrupted_video_leaves_no_part_of_it(context: NodeContext, heard: Heard) -> None:
    heard.stop_at = 5
    with pytest.raises(Interrupted):
        combine(from_bytes(grays(40)), format="video/h264-mp4")
    assert [path.suffix for path in context.folders.output.iterdir()] == [".png"]


def test_the_widgets_of_a_format_are_published_with_it() -> None:
    formats, options = vhs_combine.family.classes["VHS_VideoCombine"].INPUT_TYPES()["required"]["format"]
    assert formats[:2] == ["image/gif", "image/webp"] and "video/h264-mp4" in formats
    assert options["formats"] is WIDGETS
    assert WIDGETS["video/h264-mp4"] == [
        ["pix_fmt", ["yuv420p", "yuv420p10le"]],
        ["crf", "INT", {"default": 19, "min": 0, "max": 100, "step": 1}],
        ["save_metadata", "BOOLEAN", {"default": True}],
        ["trim_to_audio", "BOOLEAN", {"default": False}],
    ]
