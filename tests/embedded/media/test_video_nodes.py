import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from comfyserve.embedded.context import EngineSettings, Interrupted, NodeContext
from comfyserve.embedded.media.sound import as_audio
from comfyserve.embedded.media.video import Video
from comfyserve.embedded.nodes import video as nodes
from comfyserve.embedded.nodes.audio import save_flac
from comfyserve.embedded.nodes.io import Ui
from comfyserve.embedded.pixels.arrays import Image, from_bytes

from .conftest import Heard, with_settings
from .files import RATE, grays, levels, seconds, tone, write_video

GRAPH = {"7": {"class_type": "SaveVideo", "inputs": {}}}


def batch(count: int = 6, width: int = 32, height: int = 16) -> Image:
    return from_bytes(grays(count, width, height))


def saved(context: NodeContext, ui: Ui) -> Path:
    assert ui["animated"] == [True]
    (item,) = ui["images"]
    path: Path = context.folders.output / item["subfolder"] / item["filename"]
    return path


def facts(path: Path) -> dict[str, Any]:
    """What a file says of itself, and how many frames it has."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return {
            "codecs": [stream.codec.name for stream in container.streams],
            "pixels": video.format.name,
            "size": (video.width, video.height),
            "rate": float(video.average_rate or 0),
            "tags": dict(container.metadata),
            "frames": sum(1 for _ in container.decode(video)),
        }


def test_frames_and_sound_become_an_mp4_with_the_graph(context: NodeContext) -> None:
    video = nodes.create_video(batch(), 10.0, as_audio(tone(9.0)[None], RATE))
    path = saved(context, nodes.save_video(video, "video/a", "auto", "auto", GRAPH, {"workflow": {"name": "Größe"}}))
    assert path.relative_to(context.folders.output) == Path("video/a_00001_.mp4")
    found = facts(path)
    assert (found["codecs"], found["pixels"], found["size"]) == (["h264", "aac"], "yuv420p", (32, 16))
    assert (found["rate"], found["frames"]) == (10.0, 6)
    assert json.loads(found["tags"]["prompt"]) == GRAPH
    assert json.loads(found["tags"]["workflow"]) == {"name": "Größe"}
    assert seconds(path) == pytest.approx(0.6, abs=0.15), "the sound ends with the frames"


def test_without_metadata_no_graph_is_written(context: NodeContext) -> None:
    with_settings(context, EngineSettings(disable_metadata=True))
    found = facts(saved(context, nodes.save_video(nodes.create_video(batch(), 10.0), "a", "mp4", "h264", GRAPH)))
    assert "prompt" not in found["tags"]


def test_a_loaded_video_gives_its_frames_sound_and_rate(context: NodeContext) -> None:
    write_video(context.folders.input / "a.mp4", grays(6), sound=tone(0.6))
    images, sound, fps = nodes.get_video_components(nodes.load_video("a.mp4"))
    assert (levels(images), fps) == ([0, 10, 20, 30, 40, 50], 10.0)
    assert sound is not None
    assert (sound["waveform"].ndim, sound["waveform"].dtype, sound["sample_rate"]) == (3, np.float32, RATE)


def test_a_silent_video_has_no_sound(context: NodeContext) -> None:
    write_video(context.folders.input / "a.mp4", grays(2))
    sound = nodes.get_video_components(nodes.load_video("a.mp4"))[1]
    assert sound is None
    with pytest.raises(ValueError, match="has none"):
        save_flac(sound, "a")  # type: ignore[arg-type] # a link can bring it all the same


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def test_a_file_that_fits_is_not_encoded_again(context: NodeContext) -> None:
    source = write_video(context.folders.input / "a.mp4", grays(6), sound=tone(0.6))
    for form, codec in (("auto", "auto"), ("mp4", "h264")):
        path = saved(context, nodes.save_video(nodes.load_video("a.mp4"), "a", form, codec, GRAPH))
        assert packets(path) == packets(source)
        assert json.loads(facts(path)["tags"]["prompt"]) == GRAPH


def test_a_file_of_another_kind_is_encoded(context: NodeContext) -> None:
    write_video(context.folders.input / "a.webm", grays(6), codec="libvpx-vp9")
    found = facts(saved(context, nodes.save_video(nodes.load_video("a.webm"), "a", "mp4", "auto")))
    assert (found["codecs"], found["frames"]) == (["h264"], 6)


@pytest.mark.parametrize(
    ("codec", "decoders", "pixels"), [("vp9", {"vp9"}, "yuv420p"), ("av1", {"libdav1d", "av1"}, "yuv420p10le")]
)
def test_frames_become_a_webm(context: NodeContext, codec: str, decoders: set[str], pixels: str) -> None:
    path = saved(context, nodes.save_webm(batch(6, 64, 64), "a", codec, 23.976, 20.0, GRAPH))
    found = facts(path)
    assert (path.name, found["pixels"], found["frames"]) == ("a_00001_.webm", pixels, 6)
    assert set(found["codecs"]) <= decoders
    assert found["rate"] == pytest.approx(23.976, abs=0.05)
    assert json.loads(found["tags"]["PROMPT"]) == GRAPH


def test_quality_follows_the_crf(context: NodeContext) -> None:
    noise = np.random.default_rng(0).random((4, 64, 64, 3), np.float32)
    good, bad = (saved(context, nodes.save_webm(noise, "a", "vp9", 10.0, crf)).stat().st_size for crf in (4.0, 60.0))
    assert good > 2 * bad


def test_an_alpha_channel_is_left_out(context: NodeContext) -> None:
    transparent = np.concatenate([batch(3), np.zeros((3, 16, 32, 1), np.float32)], axis=-1)
    path = saved(context, nodes.save_video(nodes.create_video(transparent, 10.0), "a", "auto", "auto"))
    assert facts(path)["frames"] == 3


def test_frames_of_two_channels_are_refused(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="2 channels cannot be in a video"):
        nodes.save_webm(batch(2)[..., :2], "a", "vp9", 10.0, 20.0)


def test_odd_sides_are_said_to_be_the_reason(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="even sides; these frames are 31 x 16"):
        nodes.save_video(nodes.create_video(batch(2, 31), 10.0), "a", "auto", "auto")
    assert list(context.folders.output.iterdir()) == []


def test_an_unknown_format_is_refused(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="Formats: auto, mp4; codecs: auto, h264"):
        nodes.save_video(nodes.create_video(batch(2), 10.0), "a", "avi", "auto")


def test_an_interrupted_save_leaves_no_file(context: NodeContext, heard: Heard) -> None:
    heard.stop_at = 3
    with pytest.raises(Interrupted):
        nodes.save_video(nodes.create_video(batch(40), 10.0), "a", "auto", "auto")
    assert heard.progressed[-1] == (3, 40)
    assert list(context.folders.output.iterdir()) == []


@pytest.mark.parametrize("name", ["missing.mp4", "../secret.mp4", ""])
def test_a_video_that_is_not_there_is_refused_at_validation(context: NodeContext, name: str) -> None:
    assert nodes.video_exists(name) == f"Invalid video file: {name}"


def test_nothing_is_decoded_to_load_a_video(context: NodeContext) -> None:
    (context.folders.input / "a.mp4").write_bytes(b"no video at all")
    video: Video = nodes.load_video("a.mp4")
    with pytest.raises(ValueError, match=r"a\.mp4 is not a sound or video file"):
        video.get_dimensions()
