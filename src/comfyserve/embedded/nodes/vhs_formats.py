"""The video formats of VHS_VideoCombine: their widgets, and what an encoder is told (a table)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from comfyserve.embedded.media.encode import PictureCoding

Widget = tuple[Any, ...]
Choices = Mapping[str, Any]


def _choice(name: str, *names: str, default: str | None = None) -> Widget:
    return (name, list(names)) if default is None else (name, list(names), {"default": default})


def _int(name: str, default: int, low: int, high: int) -> Widget:
    return (name, "INT", {"default": default, "min": low, "max": high, "step": 1})


def _bool(name: str, default: bool) -> Widget:
    return (name, "BOOLEAN", {"default": default})


def _crf(default: int) -> Widget:
    return _int("crf", default, 0, 100)


def _pixels(*names: str, default: str | None = None) -> Widget:
    return _choice("pix_fmt", *names, default=default)


SAVE_METADATA: Final = _bool("save_metadata", True)
TRIM: Final = _bool("trim_to_audio", False)
BIT_RATE: Final = (_int("bitrate", 10, 1, 999), _bool("megabit", True))
DITHERS: Final = (
    "bayer",
    "heckbert",
    "floyd_steinberg",
    "sierra2",
    "sierra2_4a",
    "sierra3",
    "burkes",
    "atkinson",
    "none",
)
LOSSLESS_PIXELS: Final = (
    "rgba64le",
    "bgra",
    *("yuv420p", "yuv422p", "yuv444p", "yuva420p", "yuva422p", "yuva444p"),
    *(f"yuv{planes}p{depth}le" for depth in (10, 12, 14, 16) for planes in (420, 422, 444)),
    *("gray", "gray10le", "gray12le", "gray16le"),
)


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """One format. `options` maps the encoder's options to a widget's name or, with a leading "=", to a fixed value.

    `sounds` are encoders for the audio track, the first that exists is taken; none: the format holds no sound.
    """

    extension: str
    codec: str
    widgets: tuple[Widget, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    sounds: tuple[str, ...] = ()
    pixels: str = ""
    bt709: bool = False
    wide: bool = False
    bit_rate: int | None = None
    tag: str | None = None
    pictures: bool = False

    def choose(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A value for each widget: the given one, or its default. ValueError for one that it does not have."""
        return {widget[0]: _value(widget, given.get(widget[0])) for widget in self.widgets}

    def coding(self, chosen: Choices, alpha: bool) -> PictureCoding:
        """What the encoder is told."""
        options = {name: word[1:] if word.startswith("=") else str(chosen[word]) for name, word in self.options.items()}
        bit_rate = self.bit_rate
        if "bitrate" in chosen:
            bit_rate = chosen["bitrate"] * (1_000_000 if chosen["megabit"] else 1000)
        pixels = chosen.get("pix_fmt") or self.pixels or _prores_pixels(chosen["profile"], alpha)
        return PictureCoding(self.codec, pixels, options, bit_rate, self.bt709, self.tag)

    def is_wide(self, chosen: Choices) -> bool:
        """Whether frames go to the encoder with 16 bits per sample."""
        return self.wide or chosen.get("input_color_depth") == "16bit"


def _prores_pixels(profile: str, alpha: bool) -> str:
    if not profile.startswith("4444"):
        return "yuv422p10le"
    return "yuva444p10le" if alpha else "yuv444p10le"


def _value(widget: Widget, given: Any) -> Any:
    name, kind = widget[:2]
    options = widget[2] if len(widget) > 2 else {}
    if given is None:
        return options.get("default", kind[0])
    if isinstance(kind, list):
        if given not in kind:
            raise ValueError(f"{name} has no choice {given!r}. Use one of: {', '.join(kind)}.")
        return given
    if kind == "BOOLEAN":
        return bool(given)
    number = int(given)
    if not options["min"] <= number <= options["max"]:
        raise ValueError(f"{name} is {number}; use {options['min']} to {options['max']}.")
    return number


def _nvenc(codec: str, tag: str | None = None) -> VideoFormat:
    widgets = (_pixels("yuv420p", "p010le"), *BIT_RATE, SAVE_METADATA)
    return VideoFormat("mp4", codec, widgets, sounds=("aac",), bt709=True, tag=tag)


FORMATS: Final[Mapping[str, VideoFormat]] = {
    "16bit-png": VideoFormat("%03d.png", "png", pixels="rgba64be", wide=True, pictures=True),
    "8bit-png": VideoFormat("%03d.png", "png", pixels="rgba", pictures=True),
    "ProRes": VideoFormat(
        "mov",
        "prores_ks",
        (_choice("profile", "lt", "standard", "hq", "4444", "4444xq", default="hq"),),
        {"profile": "profile"},
        ("pcm_s16le",),
        bt709=True,
    ),
    "av1-webm": VideoFormat(
        "webm",
        "libsvtav1",
        (
            _pixels("yuv420p10le", "yuv420p"),
            _crf(23),
            _choice("input_color_depth", "8bit", "16bit"),
            SAVE_METADATA,
        ),
        {"crf": "crf"},
        ("libopus",),
        bt709=True,
    ),
    "ffmpeg-gif": VideoFormat("gif", "gif", (_choice("dither", *DITHERS, default="sierra2_4a"),), pixels="pal8"),
    "ffv1-mkv": VideoFormat(
        "mkv",
        "ffv1",
        (
            _choice("level", "0", "1", "3", default="3"),
            _choice("coder", "0", "1", "2", default="1"),
            _choice("context", "0", "1", default="1"),
            _int("gop_size", 1, 1, 300),
            _choice("slices", "4", "6", "9", "12", "16", "20", "24", "30", default="16"),
            _choice("slicecrc", "0", "1", default="1"),
            _pixels(*LOSSLESS_PIXELS, default="rgba64le"),
            SAVE_METADATA,
            TRIM,
        ),
        {
            "level": "level",
            "coder": "coder",
            "context": "context",
            "g": "gop_size",
            "slices": "slices",
            "slicecrc": "slicecrc",
        },
        ("flac",),
        wide=True,
    ),
    "h264-mp4": VideoFormat(
        "mp4",
        "libx264",
        (_pixels("yuv420p", "yuv420p10le"), _crf(19), SAVE_METADATA, TRIM),
        {"crf": "crf"},
        ("aac",),
        bt709=True,
    ),
    "h265-mp4": VideoFormat(
        "mp4",
        "libx265",
        (_pixels("yuv420p10le", "yuv420p"), _crf(22), SAVE_METADATA),
        {"crf": "crf", "preset": "=medium", "x265-params": "=log-level=none"},
        ("aac",),
        bt709=True,
        tag="hvc1",
    ),
    "nvenc_av1-mp4": _nvenc("av1_nvenc"),
    "nvenc_h264-mp4": _nvenc("h264_nvenc"),
    "nvenc_hevc-mp4": _nvenc("hevc_nvenc", "hvc1"),
    "webm": VideoFormat(
        "webm",
        "libvpx-vp9",
        (_pixels("yuv420p", "yuva420p"), _crf(20), SAVE_METADATA, TRIM),
        {"crf": "crf"},
        ("libvorbis", "libopus"),
        bt709=True,
        bit_rate=0,
    ),
}

WIDGETS: Final = {"image/webp": [["lossless", "BOOLEAN", {"default": True}]]} | {
    f"video/{name}": [list(widget) for widget in known.widgets] for name, known in FORMATS.items() if known.widgets
}
