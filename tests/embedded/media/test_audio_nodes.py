import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from comfyserve.embedded.context import EngineSettings, NodeContext
from comfyserve.embedded.media.sound import Audio, as_audio, read_sound
from comfyserve.embedded.nodes import audio as nodes
from comfyserve.embedded.nodes.io import Ui

from .conftest import with_settings
from .files import seconds, tone, write_wav

GRAPH = {"7": {"class_type": "SaveAudio", "inputs": {}}}


def sound(*values: float, rate: int = 10) -> Audio:
    """A mono sound of these samples."""
    return as_audio(np.array([[values]], np.float32), rate)


def saved(context: NodeContext, ui: Ui) -> Path:
    (item,) = ui["audio"]
    path: Path = context.folders.of_type(item["type"]) / item["subfolder"] / item["filename"]
    return path


def test_a_loaded_sound_is_saved_sample_by_sample(context: NodeContext) -> None:
    write_wav(context.folders.input / "a.wav", tone(0.5, channels=2))
    loaded = nodes.load_audio("a.wav")
    ui = nodes.save_flac(loaded, "audio/take")
    assert ui == {"audio": [{"filename": "take_00001_.flac", "subfolder": "audio", "type": "output"}]}
    again = read_sound(saved(context, ui))
    assert again["sample_rate"] == 8000
    assert np.abs(again["waveform"] - loaded["waveform"]).max() <= 1 / 2**15


def test_a_batch_is_several_files_and_a_preview_is_temporary(context: NodeContext) -> None:
    both = as_audio(np.stack([tone(0.1), tone(0.1)]), 8000)
    assert [item["filename"] for item in nodes.save_flac(both, "a%batch_num%")["audio"]] == [
        "a0_00001_.flac",
        "a1_00002_.flac",
    ]
    (first, _) = nodes.preview_audio(both)["audio"]
    assert first["type"] == "temp" and first["filename"].startswith("ComfyUI_temp_")


@pytest.mark.parametrize("save", [nodes.save_flac, nodes.save_mp3, nodes.save_opus])
def test_the_graph_stands_in_the_file(context: NodeContext, save: object) -> None:
    assert callable(save)
    ui = save(as_audio(tone(0.2)[None], 8000), "a", prompt=GRAPH, extra_pnginfo={"workflow": {"name": "Größe"}})
    with av.open(str(saved(context, ui))) as container:
        tags = container.metadata | container.streams[0].metadata
        assert json.loads(tags["prompt"]) == GRAPH
        assert json.loads(tags["workflow"]) == {"name": "Größe"}


def test_opus_gets_the_next_higher_of_its_rates(context: NodeContext) -> None:
    ui = nodes.save_opus(as_audio(tone(0.5, rate=11025)[None], 11025), "a", "64k")
    with av.open(str(saved(context, ui))) as container:
        assert container.streams[0].codec.name == "opus"
    assert seconds(saved(context, ui)) == pytest.approx(0.5, abs=0.05)


def test_mp3_qualities_differ_in_size(context: NodeContext) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 2, 44100)).astype(np.float32)
    sizes = {
        quality: saved(context, nodes.save_mp3(as_audio(noise, 44100), "a", quality)).stat().st_size
        for quality in ("V0", "128k", "320k")
    }
    assert 15_000 < sizes["128k"] < 18_000
    assert 38_000 < sizes["320k"] < 46_000
    assert sizes["V0"] > sizes["128k"]


def test_a_rate_or_a_layout_that_a_codec_lacks_is_said(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="no sample rate of 96000 Hz"):
        nodes.save_mp3(as_audio(tone(0.1)[None], 96000), "a")
    with pytest.raises(ValueError, match="in 3 channels cannot be saved"):
        nodes.save_flac(as_audio(tone(0.1, channels=3)[None], 8000), "a")
    with pytest.raises(ValueError, match="0 samples"):
        nodes.save_flac(sound(), "a")
    assert list(context.folders.output.iterdir()) == []


def test_silence_has_the_asked_length_within_the_bound(context: NodeContext) -> None:
    assert nodes.empty_audio(0.25, 8000, 2)["waveform"].shape == (1, 2, 2000)
    with pytest.raises(ValueError, match="shorter"):
        nodes.empty_audio(2.0**63, 44100, 2)
    with pytest.raises(ValueError, match="0 Hz"):
        nodes.empty_audio(1.0, 0, 1)


@pytest.mark.parametrize(
    ("start", "duration", "left"),
    [(0.0, 60.0, [0, 1, 2, 3, 4]), (0.2, 0.2, [2, 3]), (-0.2, 1.0, [3, 4]), (-9.0, 0.1, [0]), (9.0, 1.0, [4])],
)
def test_a_sound_is_trimmed_from_either_end(start: float, duration: float, left: list[int]) -> None:
    assert nodes.trim_audio(sound(0, 1, 2, 3, 4), start, duration)["waveform"].tolist() == [[left]]


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(ValueError, match="Nothing is left"):
        nodes.trim_audio(sound(0, 1), 0.0, 0.0)


def test_channels_are_split_and_joined() -> None:
    stereo = as_audio(np.arange(6, dtype=np.float32).reshape(1, 2, 3), 10)
    left, right = nodes.split_channels(stereo)
    assert (left["waveform"].tolist(), right["waveform"].tolist()) == ([[[0, 1, 2]]], [[[3, 4, 5]]])
    assert nodes.join_channels(left, sound(7, 8))["waveform"].tolist() == [[[0, 1], [7, 8]]]
    with pytest.raises(ValueError, match="1 channels cannot be split"):
        nodes.split_channels(left)
    with pytest.raises(ValueError, match="Only mono"):
        nodes.join_channels(stereo, left)


def test_sounds_are_put_one_behind_the_other_in_stereo() -> None:
    assert nodes.concat_audio(sound(1), sound(2), "after")["waveform"].tolist() == [[[1, 2], [1, 2]]]
    assert nodes.concat_audio(sound(1), sound(2), "before")["waveform"].tolist() == [[[2, 1], [2, 1]]]


def test_sounds_of_other_channels_are_not_put_together() -> None:
    with pytest.raises(ValueError, match="2 and 3 channels"):
        nodes.concat_audio(sound(1), as_audio(np.zeros((1, 3, 4), np.float32), 10), "after")


def test_the_lower_rate_is_raised_to_the_higher(context: NodeContext) -> None:
    joined = nodes.concat_audio(as_audio(tone(0.1)[None], 8000), as_audio(tone(0.1, rate=16000)[None], 16000), "after")
    assert (joined["waveform"].shape, joined["sample_rate"]) == ((1, 2, 3200), 16000)
    with_settings(context, EngineSettings(media_bytes=1000))
    with pytest.raises(ValueError, match="shorter"):
        nodes.merge_audio(as_audio(tone(0.1)[None], 8000), as_audio(tone(0.1, rate=16000)[None], 16000), "add")


@pytest.mark.parametrize(
    ("method", "mixed"),
    [
        ("add", [0.75, 0.5, 0.25]),
        ("subtract", [0.25, 0.5, 0.25]),
        ("multiply", [0.125, 0, 0]),
        ("mean", [0.375, 0.25, 0.125]),
    ],
)
def test_sounds_are_mixed_to_the_length_of_the_first(method: str, mixed: list[float]) -> None:
    assert nodes.merge_audio(sound(0.5, 0.5, 0.25), sound(0.25), method)["waveform"].tolist() == [[mixed]]


def test_too_loud_a_mix_is_scaled_to_a_peak_of_one() -> None:
    mixed = nodes.merge_audio(sound(1, -0.5), sound(1, 0, 9), "add")["waveform"]
    assert mixed.tolist() == [[[1, -0.25]]]


def test_volume_is_in_decibels() -> None:
    assert nodes.adjust_volume(sound(0.5), -20)["waveform"][0, 0, 0] == pytest.approx(0.05)
    unchanged = sound(0.5)
    assert nodes.adjust_volume(unchanged, 0) is unchanged


FLAT: dict[str, Any] = {
    "low_gain_dB": 0.0,
    "low_freq": 100,
    "mid_gain_dB": 0.0,
    "mid_freq": 1000,
    "mid_q": 0.707,
    "high_gain_dB": 0.0,
    "high_freq": 5000,
}


def loudness(wave: np.ndarray) -> float:
    return float(np.sqrt((wave[..., 4000:] ** 2).mean()))


@pytest.mark.parametrize(("band", "heard"), [("low_gain_dB", 50), ("mid_gain_dB", 1000), ("high_gain_dB", 10000)])
def test_each_band_of_the_equalizer_raises_its_tones(band: str, heard: int) -> None:
    at = np.arange(24000) / 44100
    wave = (0.05 * np.sin(2 * np.pi * heard * at)).astype(np.float32)[None, None]
    given = as_audio(wave, 44100)
    assert nodes.equalize(given, **FLAT)["waveform"] is wave
    raised = nodes.equalize(given, **FLAT | {band: 12.0})["waveform"]
    assert 20 * np.log10(loudness(raised) / loudness(wave)) == pytest.approx(11.5, abs=2.5)
    other = "low_gain_dB" if band != "low_gain_dB" else "high_gain_dB"
    kept = nodes.equalize(given, **FLAT | {other: 12.0})["waveform"]
    assert abs(20 * np.log10(loudness(kept) / loudness(wave))) < 1.5


def test_a_band_above_the_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="below 4000 Hz"):
        nodes.equalize(as_audio(tone(0.1)[None], 8000), **FLAT | {"high_gain_dB": 3.0})


@pytest.mark.parametrize("name", ["missing.wav", "../secret.wav", ""])
def test_a_sound_that_is_not_there_is_refused_at_validation(context: NodeContext, name: str) -> None:
    assert nodes.audio_exists(name) == f"Invalid audio file: {name}"
