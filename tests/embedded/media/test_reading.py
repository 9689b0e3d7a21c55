"""Hostile and broken files: each is one clear error, and none takes more memory than allowed."""

from pathlib import Path

import numpy as np
import pytest

from comfyserve.embedded.context import EngineSettings, Interrupted, NodeContext
from comfyserve.embedded.media.frames import read_frames
from comfyserve.embedded.media.sound import NoSoundError, read_sound

from .conftest import Heard, with_settings
from .files import grays, levels, tone, write_video, write_wav


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 48, 64, 3), np.uint8)


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_frames_come_in_order_with_what_the_file_says(tmp_path: Path, context: NodeContext) -> None:
    images, head = read_frames(write_video(tmp_path / "a.mp4", grays(12)))
    assert levels(images) == list(range(0, 120, 10))
    assert images.dtype == np.float32
    assert (head.width, head.height, head.fps, head.count) == (32, 16, 10.0, 12)


def test_long_videos_tell_how_far_they_are_and_stop_when_interrupted(
    tmp_path: Path, context: NodeContext, heard: Heard
) -> None:
    path = write_video(tmp_path / "a.mp4", grays(40))
    read_frames(path)
    assert heard.progressed == [(number, 40) for number in range(1, 41)]
    heard.progressed.clear()
    heard.stop_at = 5
    with pytest.raises(Interrupted):
        read_frames(path)
    assert heard.progressed[-1] == (5, 40)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mp4", "libx264", {}), ("a.mp4", "libx264", {"movflags": "faststart"}), ("a.webm", "libvpx-vp9", {})],
)
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_a_file_that_is_cut_off_is_refused(
    tmp_path: Path, context: NodeContext, name: str, codec: str, options: dict[str, str], share: float
) -> None:
    path = cut(write_video(tmp_path / name, noise(20), codec=codec, options=options), share)
    with pytest.raises(ValueError, match=f"{name} is (cut off|not a sound or video file)"):
        read_frames(path)


def test_bytes_that_are_broken_in_the_middle_are_one_error(tmp_path: Path, context: NodeContext) -> None:
    path = write_video(tmp_path / "a.avi", noise(20), codec="ffv1")
    data = bytearray(path.read_bytes())
    data[5000:9000] = bytes(4000)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.avi is not a sound or video file that can be read"):
        read_frames(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a video",
        b"ffconcat version 1.0\nfile 'secret.mp4'\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n",
    ],
    ids=["empty", "text", "concat script", "HLS playlist", "SDP"],
)
def test_files_that_name_other_files_or_addresses_are_not_followed(
    tmp_path: Path, context: NodeContext, content: bytes
) -> None:
    write_video(tmp_path / "secret.mp4", grays(2))
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mp4 is not a sound or video file"):
        read_frames(path)


def test_too_many_frames_are_refused_before_they_are_read(tmp_path: Path, context: NodeContext) -> None:
    path = write_video(tmp_path / "a.mp4", grays(12))
    one = 32 * 16 * 3 * 4
    with_settings(context, EngineSettings(media_bytes=12 * one))
    assert len(read_frames(path)[0]) == 12
    with_settings(context, EngineSettings(media_bytes=12 * one - 1))
    with pytest.raises(ValueError, match="12 frames of 32 x 16"):
        read_frames(path)


def test_a_file_that_says_too_little_is_stopped_where_the_bound_is(
    tmp_path: Path, context: NodeContext, heard: Heard
) -> None:
    # A stream without a container says neither how long it is nor how many frames it has.
    path = write_video(tmp_path / "a.h264", grays(40))
    assert len(read_frames(path)[0]) == 40
    with_settings(context, EngineSettings(media_bytes=5 * 32 * 16 * 3 * 4))
    with pytest.raises(ValueError, match="6 frames of 32 x 16"):
        read_frames(path)


def test_a_great_many_tiny_frames_count_as_what_they_cost(tmp_path: Path, context: NodeContext, heard: Heard) -> None:
    path = write_video(tmp_path / "a.mp4", grays(40, 2, 2))
    with_settings(context, EngineSettings(media_bytes=39 * 512))
    with pytest.raises(ValueError, match="40 frames of 2 x 2"):
        read_frames(path)


def test_a_sound_is_no_video_and_a_silent_video_no_sound(tmp_path: Path, context: NodeContext) -> None:
    with pytest.raises(ValueError, match="has no pictures"):
        read_frames(write_wav(tmp_path / "a.wav", tone(0.1)))
    with pytest.raises(NoSoundError, match="has no sound"):
        read_sound(write_video(tmp_path / "a.mp4", grays(3)))


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_u8", "pcm_f64le"])
def test_every_sample_format_gives_the_same_sound(tmp_path: Path, context: NodeContext, codec: str) -> None:
    wave = tone(0.25, channels=2)
    sound = read_sound(write_wav(tmp_path / "a.wav", wave, codec=codec))
    assert (sound["waveform"].shape, sound["waveform"].dtype, sound["sample_rate"]) == ((1, 2, 2000), np.float32, 8000)
    assert sound["waveform"][0] == pytest.approx(wave, abs=0.01 if codec == "pcm_u8" else 1e-4)


def test_a_part_of_a_sound_is_cut_to_the_sample(tmp_path: Path, context: NodeContext) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1.0))
    whole = read_sound(path)["waveform"]
    assert (read_sound(path, 0.25, 0.5)["waveform"] == whole[..., 2000:6000]).all()
    assert (read_sound(path, 0.9)["waveform"] == whole[..., 7200:]).all()
    with pytest.raises(ValueError, match="no sound there"):
        read_sound(path, 2.0)


def test_too_long_a_sound_is_refused(tmp_path: Path, context: NodeContext) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1.0))
    with_settings(context, EngineSettings(media_bytes=8000 * 4 - 1))
    with pytest.raises(ValueError, match="Use a shorter sound"):
        read_sound(path)
    assert read_sound(path, 0.0, 0.1)["waveform"].shape == (1, 1, 800)
