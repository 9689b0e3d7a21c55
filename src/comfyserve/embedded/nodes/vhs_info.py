"""Small nodes of VideoHelperSuite: what is known of a video, file names, sound by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.media.sound import Audio, read_sound
from comfyserve.embedded.nodes.audio import audio_exists
from comfyserve.embedded.nodes.declare import Family, Inputs, listing
from comfyserve.embedded.nodes.vhs_shared import CATEGORY, MARK, MODULE, local_path, path_problem, stamp, uploaded_path

family = Family()

SOURCE, LOADED = "🟨", "🟦"
KEYS = ("fps", "frame_count", "duration", "width", "height")
TYPES = ("FLOAT", "INT", "FLOAT", "INT", "INT")
INPUT: Inputs = {"video_info": ("VHS_VIDEOINFO",)}
AUDIO_ENDINGS = (".mp3", ".mp4", ".wav", ".ogg")
LONGEST = 10_000_000

Info = Mapping[str, Any]


def _values(info: Info, side: str) -> tuple[Any, ...]:
    return tuple(info[f"{side}_{key}"] for key in KEYS)


def _seconds(low: float = 0, **options: object) -> tuple[Any, ...]:
    return ("FLOAT", {"default": 0, "min": low, **options, "widgetType": "VHSTIMESTAMP"})


@family.node(
    "VHS_VideoInfo",
    MODULE,
    CATEGORY,
    INPUT,
    TYPES * 2,
    title="Video Info" + MARK,
    names=(*(f"source_{key}{SOURCE}" for key in KEYS), *(f"loaded_{key}{LOADED}" for key in KEYS)),
)
def video_info(video_info: Info) -> tuple[Any, ...]:
    """Rate, count, duration and size: of the file, then of what was loaded."""
    return _values(video_info, "source") + _values(video_info, "loaded")


@family.node(
    "VHS_VideoInfoSource",
    MODULE,
    CATEGORY,
    INPUT,
    TYPES,
    title="Video Info (Source)" + MARK,
    names=tuple(key + SOURCE for key in KEYS),
)
def video_info_source(video_info: Info) -> tuple[Any, ...]:
    """Rate, count, duration and size of the file."""
    return _values(video_info, "source")


@family.node(
    "VHS_VideoInfoLoaded",
    MODULE,
    CATEGORY,
    INPUT,
    TYPES,
    title="Video Info (Loaded)" + MARK,
    names=tuple(key + LOADED for key in KEYS),
)
def video_info_loaded(video_info: Info) -> tuple[Any, ...]:
    """Rate, count, duration and size of what was loaded."""
    return _values(video_info, "loaded")


@family.node(
    "VHS_SelectFilename",
    MODULE,
    CATEGORY,
    {"filenames": ("VHS_FILENAMES",), "index": ("INT", {"default": -1, "step": 1, "min": -1})},
    ("STRING",),
    title="Select Filename" + MARK,
    names=("Filename",),
)
def select_filename(filenames: tuple[bool, list[str]], index: int) -> str:
    """One of the files that Video Combine wrote; -1 is the last, which is the most complete."""
    names = filenames[1]
    if not -len(names) <= index < len(names):
        raise ValueError(f"There are {len(names)} files, so there is none with index {index}.")
    return names[index]


def _path_exists(audio_file: str | None) -> bool | str:
    return path_problem(audio_file, "There is no such file")


def _path_stamp(audio_file: str, **_: object) -> str:
    return stamp(local_path(audio_file))


@family.node(
    "VHS_LoadAudio",
    MODULE,
    CATEGORY + "/audio",
    {
        "audio_file": (
            "STRING",
            {"default": "input/", "vhs_path_extensions": ["wav", "mp3", "ogg", "m4a", "flac"]},
        )
    },
    ("AUDIO", "FLOAT"),
    title="Load Audio (Path)" + MARK.strip(),
    optional={"seek_seconds": _seconds(), "duration": _seconds(max=LONGEST, step=0.01)},
    names=("audio", "duration"),
    validate=_path_exists,
    fingerprint=_path_stamp,
)
def load_audio(audio_file: str, seek_seconds: float = 0.0, duration: float = 0.0) -> tuple[Audio, float]:
    """A part of a sound file, and its length in seconds."""
    sound = read_sound(local_path(audio_file), seek_seconds, duration)
    return sound, sound["waveform"].shape[-1] / sound["sample_rate"]


def _sounds(folders: Folders) -> list[str]:
    return [name for name in folders.input_files(("audio", "video")) if name.endswith(AUDIO_ENDINGS)]


def _upload_stamp(audio: str, **_: object) -> str:
    return stamp(uploaded_path(audio))


@family.node(
    "VHS_LoadAudioUpload",
    MODULE,
    CATEGORY + "/audio",
    {"audio": listing(_sounds)},
    ("AUDIO", "FLOAT"),
    title="Load Audio (Upload)" + MARK.strip(),
    optional={"start_time": _seconds(max=LONGEST, step=0.01), "duration": _seconds(max=LONGEST, step=0.01)},
    names=("audio", "duration"),
    validate=audio_exists,
    fingerprint=_upload_stamp,
)
def load_audio_upload(audio: str, start_time: float = 0.0, duration: float = 0.0) -> tuple[Audio, float]:
    """A part of a sound file of the input folder, and its length in seconds."""
    sound = read_sound(uploaded_path(audio), start_time, duration)
    return sound, sound["waveform"].shape[-1] / sound["sample_rate"]
