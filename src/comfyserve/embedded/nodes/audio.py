"""Sound: load, save, cut, join, mix (catalogue of the protocol spec: Audio). The equalizer is a newer node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.media import equalizer
from comfyserve.embedded.media.resample import Wave, resample
from comfyserve.embedded.media.sound import Audio, SoundCoding, as_audio, check_length, read_sound, write_sound
from comfyserve.embedded.nodes.declare import (
    SAVE_METADATA,
    Family,
    Inputs,
    Spec,
    choice,
    integer,
    listing,
    number,
    text,
)
from comfyserve.embedded.nodes.io import Prompt, Ui, image_digest, image_exists, marked, png_texts, temp_prefix

family = Family()

MODULE = "comfy_extras.nodes_audio"
CATEGORY = "audio"
AUDIO: Spec = ("AUDIO",)
PREFIX = {"filename_prefix": text("audio/ComfyUI")}
SECONDS_MAX = 2**64 - 1
VARIABLE = "V0"
# The sample rates of Opus (RFC 6716); other sounds get the next higher one.
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
MERGES: dict[str, Callable[[Wave, Wave], Wave]] = {
    "add": np.add,
    "mean": lambda first, second: (first + second) / np.float32(2),
    "subtract": np.subtract,
    "multiply": np.multiply,
}


def _sounds(folders: Folders) -> list[str]:
    return folders.input_files(("audio", "video"))


def audio_exists(audio: str) -> bool | str:
    """The validator of LoadAudio: the annotated file is there."""
    return image_exists(audio) is True or f"Invalid audio file: {audio}"


def audio_digest(audio: str) -> str:
    """The fingerprint of LoadAudio: sha256 of the file."""
    return image_digest(audio)


@family.node(
    "LoadAudio",
    MODULE,
    CATEGORY,
    {"audio": listing(_sounds, audio_upload=True)},
    ("AUDIO",),
    title="Load Audio",
    validate=audio_exists,
    fingerprint=audio_digest,
)
def load_audio(audio: str) -> Audio:
    """The first sound of a file of the input folder, at its own sample rate."""
    return read_sound(current().folders.annotated_path(audio))


@family.node("RecordAudio", MODULE, CATEGORY, {"audio": ("AUDIO_RECORD", {})}, ("AUDIO",), title="Record Audio")
def record_audio(audio: str) -> Audio:
    """The uploaded recording."""
    return load_audio(audio)


@family.node(
    "SaveAudio",
    MODULE,
    CATEGORY,
    {"audio": AUDIO, **PREFIX},
    title="Save Audio (FLAC)",
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_flac(
    audio: Audio, filename_prefix: str = "ComfyUI", prompt: Prompt | None = None, extra_pnginfo: Prompt | None = None
) -> Ui:
    """One FLAC file per item in the output folder."""
    return _save(audio, filename_prefix, "output", "flac", SoundCoding("flac"), prompt, extra_pnginfo)


@family.node(
    "SaveAudioMP3",
    MODULE,
    CATEGORY,
    {"audio": AUDIO, **PREFIX, "quality": choice(VARIABLE, "128k", "320k", default=VARIABLE)},
    title="Save Audio (MP3)",
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_mp3(
    audio: Audio,
    filename_prefix: str = "ComfyUI",
    quality: str = "128k",
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
) -> Ui:
    """One MP3 file per item in the output folder; V0 is the best variable bit rate."""
    coding = SoundCoding("libmp3lame", _bit_rate(quality), variable=quality == VARIABLE)
    return _save(audio, filename_prefix, "output", "mp3", coding, prompt, extra_pnginfo)


@family.node(
    "SaveAudioOpus",
    MODULE,
    CATEGORY,
    {"audio": AUDIO, **PREFIX, "quality": choice("64k", "96k", "128k", "192k", "320k", default="128k")},
    title="Save Audio (Opus)",
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_opus(
    audio: Audio,
    filename_prefix: str = "ComfyUI",
    quality: str = "128k",
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
) -> Ui:
    """One Opus file per item in the output folder, resampled to a rate that Opus has."""
    rate = next((rate for rate in OPUS_RATES if rate >= audio["sample_rate"]), OPUS_RATES[-1])
    fitting = _at_rate(audio, rate)
    coding = SoundCoding("libopus", _bit_rate(quality))
    return _save(fitting, filename_prefix, "output", "opus", coding, prompt, extra_pnginfo)


@family.node(
    "PreviewAudio",
    MODULE,
    CATEGORY,
    {"audio": AUDIO},
    title="Preview Audio",
    hidden=SAVE_METADATA,
    output_node=True,
)
def preview_audio(audio: Audio, prompt: Prompt | None = None, extra_pnginfo: Prompt | None = None) -> Ui:
    """One FLAC file per item in the temp folder."""
    return _save(audio, temp_prefix(), "temp", "flac", SoundCoding("flac"), prompt, extra_pnginfo)


@family.node(
    "EmptyAudio",
    MODULE,
    CATEGORY,
    {
        "duration": number(60.0, 0.0, SECONDS_MAX, 0.01),
        "sample_rate": ("INT", {"default": 44100}),
        "channels": integer(2, 1, 2),
    },
    ("AUDIO",),
    title="Empty Audio",
)
def empty_audio(duration: float, sample_rate: int, channels: int) -> Audio:
    """Silence."""
    if sample_rate < 1:
        raise ValueError(f"A sample rate of {sample_rate} Hz is not possible. Use 1 or more.")
    samples = round(duration * sample_rate)
    check_length(channels, samples)
    return as_audio(np.zeros((1, channels, samples), np.float32), sample_rate)


@family.node(
    "TrimAudioDuration",
    MODULE,
    CATEGORY,
    {
        "audio": AUDIO,
        "start_index": number(0.0, -SECONDS_MAX, SECONDS_MAX, 0.01),
        "duration": ("FLOAT", {"default": 60.0, "min": 0.0, "step": 0.01}),
    },
    ("AUDIO",),
    title="Trim Audio Duration",
)
def trim_audio(audio: Audio, start_index: float, duration: float) -> Audio:
    """The part from start_index on (seconds, negative ones from the end). ValueError when nothing is left."""
    wave, rate = audio["waveform"], audio["sample_rate"]
    length = wave.shape[-1]
    start = round(start_index * rate) + (length if start_index < 0 else 0)
    start = max(0, min(start, length - 1))
    end = min(start + round(duration * rate), length)
    if start >= end:
        raise ValueError("Nothing is left of the sound: start inside it, and keep more than 0 seconds.")
    return {"waveform": wave[..., start:end], "sample_rate": rate}


@family.node(
    "SplitAudioChannels",
    MODULE,
    CATEGORY,
    {"audio": AUDIO},
    ("AUDIO", "AUDIO"),
    title="Split Audio Channels",
    names=("left", "right"),
)
def split_channels(audio: Audio) -> tuple[Audio, Audio]:
    """Left and right as two mono sounds."""
    wave, rate = audio["waveform"], audio["sample_rate"]
    if wave.shape[1] != 2:
        raise ValueError(
            f"A sound with {wave.shape[1]} channels cannot be split into left and right. Give a stereo one."
        )
    return {"waveform": wave[:, :1], "sample_rate": rate}, {"waveform": wave[:, 1:], "sample_rate": rate}


@family.node(
    "JoinAudioChannels",
    MODULE,
    CATEGORY,
    {"audio_left": AUDIO, "audio_right": AUDIO},
    ("AUDIO",),
    title="Join Audio Channels",
    names=("audio",),
    v3=True,
)
def join_channels(audio_left: Audio, audio_right: Audio) -> Audio:
    """Two mono sounds as left and right of one, as long as the shorter one."""
    if audio_left["waveform"].shape[1] != 1 or audio_right["waveform"].shape[1] != 1:
        raise ValueError("Only mono sounds can be joined. Split the stereo one into its channels first.")
    left, right, rate = _same_rate(audio_left, audio_right)
    length = min(left.shape[-1], right.shape[-1])
    return as_audio(np.concatenate((left[..., :length], right[..., :length]), axis=1), rate)


@family.node(
    "AudioConcat",
    MODULE,
    CATEGORY,
    {"audio1": AUDIO, "audio2": AUDIO, "direction": choice("after", "before", default="after")},
    ("AUDIO",),
    title="Audio Concat",
)
def concat_audio(audio1: Audio, audio2: Audio, direction: str) -> Audio:
    """One sound behind the other, in stereo, at the higher sample rate."""
    first, second, rate = _same_rate(_stereo(audio1), _stereo(audio2))
    if first.shape[:2] != second.shape[:2]:
        raise ValueError(
            f"Sounds of {first.shape[1]} and {second.shape[1]} channels (batches of {len(first)} and {len(second)})"
            " cannot be put together. Give both the same."
        )
    check_length(first.shape[1], first.shape[-1] + second.shape[-1])
    ordered = (second, first) if direction == "before" else (first, second)
    return as_audio(np.concatenate(ordered, axis=2), rate)


@family.node(
    "AudioMerge",
    MODULE,
    CATEGORY,
    {"audio1": AUDIO, "audio2": AUDIO, "merge_method": choice(*MERGES)},
    ("AUDIO",),
    title="Audio Merge",
)
def merge_audio(audio1: Audio, audio2: Audio, merge_method: str) -> Audio:
    """Two sounds over each other, as long as the first; scaled down to a peak of 1 when it is louder."""
    first, second, rate = _same_rate(audio1, audio2)
    length = first.shape[-1]
    missing = max(0, length - second.shape[-1])
    second = np.pad(second[..., :length], ((0, 0), (0, 0), (0, missing)))
    wave = MERGES[merge_method](first, second)
    peak = np.abs(wave).max(initial=0)
    return as_audio(wave / peak if peak > 1 else wave, rate)


@family.node(
    "AudioAdjustVolume",
    MODULE,
    CATEGORY,
    {"audio": AUDIO, "volume": integer(1.0, -100, 100)},  # type: ignore[arg-type] # 1.0 is what ComfyUI publishes
    ("AUDIO",),
    title="Audio Adjust Volume",
)
def adjust_volume(audio: Audio, volume: int) -> Audio:
    """Louder or softer by decibels."""
    gain = np.float32(10 ** (volume / 20))
    return {"waveform": audio["waveform"] * gain, "sample_rate": audio["sample_rate"]} if volume else audio


def _gain(name: str) -> Inputs:
    return {name: number(0.0, -24.0, 24.0, 0.1)}


@family.node(
    "AudioEqualizer3Band",
    MODULE,
    CATEGORY,
    {
        "audio": ("AUDIO", {}),
        **_gain("low_gain_dB"),
        "low_freq": integer(100, 20, 500),
        **_gain("mid_gain_dB"),
        "mid_freq": integer(1000, 200, 4000),
        "mid_q": number(0.707, 0.1, 10.0, 0.1),
        **_gain("high_gain_dB"),
        "high_freq": integer(5000, 1000, 15000),
    },
    ("AUDIO",),
    title="Audio Equalizer (3-Band)",
    v3=True,
    experimental=True,
)
def equalize(
    audio: Audio,
    low_gain_dB: float,  # noqa: N803  # the published names
    low_freq: int,
    mid_gain_dB: float,  # noqa: N803
    mid_freq: int,
    mid_q: float,
    high_gain_dB: float,  # noqa: N803
    high_freq: int,
) -> Audio:
    """Bass, middle and treble raised or lowered; a band with 0 dB is left alone."""
    rate = audio["sample_rate"]
    bands = [
        equalizer.low_shelf(rate, low_freq, low_gain_dB),
        equalizer.peak(rate, mid_freq, mid_gain_dB, mid_q),
        equalizer.high_shelf(rate, high_freq, high_gain_dB),
    ]
    wave = audio["waveform"]
    for band in bands:
        wave = wave if band is None else equalizer.apply(wave, band)
    return {"waveform": wave, "sample_rate": rate}


def _at_rate(sound: Audio, rate: int) -> Audio:
    wave, given = sound["waveform"], sound["sample_rate"]
    if given == rate:
        return sound
    check_length(wave.shape[1], wave.shape[-1] * rate // max(given, 1))
    return as_audio(resample(wave, given, rate), rate)


def _same_rate(first: Audio, second: Audio) -> tuple[Wave, Wave, int]:
    rate = max(first["sample_rate"], second["sample_rate"])
    return _at_rate(first, rate)["waveform"], _at_rate(second, rate)["waveform"], rate


def _stereo(sound: Audio) -> Audio:
    wave = sound["waveform"]
    return sound if wave.shape[1] != 1 else {**sound, "waveform": np.repeat(wave, 2, axis=1)}


def _bit_rate(quality: str) -> int | None:
    return int(quality[:-1]) * 1000 if quality.endswith("k") else None


def _save(
    sound: Audio | None,
    prefix: str,
    kind: str,
    form: str,
    coding: SoundCoding,
    prompt: Prompt | None,
    extra_pnginfo: Prompt | None,
) -> Ui:
    if sound is None:
        raise ValueError("There is no sound to save: the video that it comes from has none.")
    target = current().folders.next_output(prefix, kind)
    tags = png_texts(prompt, extra_pnginfo)
    saved: list[dict[str, Any]] = []
    for index, wave in enumerate(sound["waveform"]):
        name = target.name(index, form)
        write_sound(target.folder / name, wave, sound["sample_rate"], form, coding, tags)
        saved.append({"filename": name, "subfolder": target.subfolder, "type": kind})
    return marked({"audio": saved}, prompt)
