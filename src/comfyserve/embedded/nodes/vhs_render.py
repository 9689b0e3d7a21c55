"""Writing the files of VHS_VideoCombine: the still with the graph, the moving file, and the one with sound."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from comfyserve.embedded.context import current
from comfyserve.embedded.media.encode import (
    KEEP_TAGS,
    Reel,
    Samples,
    Sound,
    add_sound,
    encoder_exists,
    write_pictures,
    write_video,
)
from comfyserve.embedded.media.gif import write_gif
from comfyserve.embedded.media.resample import Wave, resample
from comfyserve.embedded.media.sound import Audio, NoSoundError, SoundCoding, check_length, fitting_rate
from comfyserve.embedded.nodes.vhs_formats import FORMATS, VideoFormat
from comfyserve.embedded.pixels.arrays import Bytes, Image

PILLOW_FORMATS = ("image/gif", "image/webp")
EXIF_TIMES = 0x8769
EXIF_TAKEN = 36867
# Containers that take tags of any name only when asked to.
MP4_LIKE = ("mp4", "mov")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the files of one call go: one counter for all of them."""

    folder: Path
    stem: str
    subfolder: str
    kind: str

    def path(self, ending: str) -> Path:
        return self.folder / f"{self.stem}{ending}"


@dataclass(frozen=True, slots=True)
class Made:
    """The files of one call in the order they were written, and those of them that are shown."""

    files: list[Path]
    shown: list[Path]

    def drop_intermediate(self) -> None:
        """Remove what is not shown."""
        for path in self.files:
            if path not in self.shown:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames in the order they are shown, at a rate; a video repeats them `loops` times more."""

    images: Image
    order: list[int]
    rate: float
    loops: int

    @property
    def count(self) -> int:
        """The frames of a video."""
        return len(self.order) * (self.loops + 1)

    def once(self) -> Iterator[Bytes]:
        return (_rounded(self.images[index]) for index in self.order)

    def repeated(self, wide: bool) -> Iterator[Samples]:
        """Even sides, 8 or 16 bit samples."""
        for _ in range(self.loops + 1):
            for index in self.order:
                image = _evened(self.images[index])
                yield _rounded_wide(image) if wide else _rounded(image)


def target_of(prefix: str, kind: str) -> Target:
    """The next free counter. The files end in it, without the underscore that other savers put behind."""
    name = current().folders.next_output(prefix, kind)
    counters = re.compile(rf"{re.escape(name.stem)}_(\d+)\D*\..+", re.IGNORECASE | re.ASCII)
    found = (counters.fullmatch(path.name) for path in name.folder.iterdir())
    counter = 1 + max((int(match[1]) for match in found if match), default=0)
    return Target(name.folder, f"{name.stem}_{counter:05}", name.subfolder, kind)


def save_still(path: Path, image: Image, tags: Mapping[str, str]) -> None:
    """One frame as PNG, for its tags: many formats hold none."""
    info = PngInfo()
    for key, value in {**tags, "CreationTime": _now()}.items():
        info.add_text(key, value)
    Pillow.fromarray(_rounded(image)).save(path, pnginfo=info, compress_level=4)


def render(
    target: Target,
    clip: Clip,
    form: str,
    widgets: Mapping[str, Any],
    audio: Audio | None,
    tags: Mapping[str, str],
) -> Made:
    """Write the clip. ValueError for a format, a widget's value or a size that is not possible."""
    if form in PILLOW_FORMATS:
        path = _with_pillow(target, clip, form, bool(widgets.get("lossless", True)))
        return Made([path], [path])
    known = FORMATS.get(form.removeprefix("video/"))
    if known is None:
        raise ValueError(f"There is no format {form!r}. Use one of: {', '.join((*PILLOW_FORMATS, *FORMATS))}.")
    chosen = known.choose(widgets)
    wave = _heard(audio)
    if wave is not None and not known.sounds:
        raise ValueError(f"{form} holds no sound. Choose another format, or take the audio away.")
    sound = None
    if wave is not None and audio is not None:
        seconds = clip.count / clip.rate
        sound = _sound(wave, audio["sample_rate"], known, seconds, trim=bool(chosen.get("trim_to_audio")))
    kept = tags if chosen.get("save_metadata") else {}
    made = _with_ffmpeg(target, clip, known, chosen, kept)
    if sound is None:
        return made
    path = target.path(f"-audio.{known.extension}")
    add_sound(made.files[0], path, sound, kept, _container_options(known))
    return Made([*made.files, path], [path])


def _with_pillow(target: Target, clip: Clip, form: str, lossless: bool) -> Path:
    word = form.removeprefix("image/")
    exif = Pillow.Exif()
    exif[EXIF_TIMES] = {EXIF_TAKEN: _now()}
    options: dict[str, Any] = {"disposal": 2} if word == "gif" else {"exif": exif, "lossless": lossless}
    first, *rest = [Pillow.fromarray(frame) for frame in clip.once()]
    path = target.path(f".{word}")
    duration = round(1000 / clip.rate)
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=clip.loops, **options)
    return path


def _with_ffmpeg(
    target: Target, clip: Clip, form: VideoFormat, chosen: Mapping[str, Any], tags: Mapping[str, str]
) -> Made:
    height, width = (side + side % 2 for side in clip.images.shape[1:3])
    rate = Fraction(clip.rate).limit_denominator(1001)
    reel = Reel(clip.repeated(form.is_wide(chosen)), width, height, rate, clip.count)
    path = target.path(f".{form.extension}")
    if form.pictures:
        files = write_pictures(path, reel, form.pixels)
        return Made(files, files)
    if form.codec == "gif":
        write_gif(path, reel, chosen["dither"])
    else:
        coding = form.coding(chosen, alpha=clip.images.shape[-1] == 4)
        write_video(path, reel, coding, tags, options=_container_options(form))
    return Made([path], [path])


def _container_options(form: VideoFormat) -> Mapping[str, str]:
    return KEEP_TAGS if form.extension in MP4_LIKE else {}


def _heard(audio: Audio | None) -> Wave | None:
    """The first item of an AUDIO; None also for the sound of a video that has none."""
    if audio is None:
        return None
    try:
        wave: Wave = audio["waveform"][0]
    except NoSoundError:
        return None
    return wave


def _sound(wave: Wave, rate: int, form: VideoFormat, seconds: float, trim: bool) -> Sound:
    """As long as the pictures: silence is added, unless the pictures are to end with the sound."""
    codec = next((name for name in form.sounds if encoder_exists(name)), form.sounds[0])
    fitting = fitting_rate(codec, rate)
    fitted = resample(wave, rate, fitting)[:, : round(seconds * fitting)]
    if not trim:
        check_length(len(fitted), round(seconds * fitting))
        fitted = np.pad(fitted, ((0, 0), (0, round(seconds * fitting) - fitted.shape[1])))
    return Sound(fitted, fitting, SoundCoding(codec))


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _rounded(image: Image) -> Bytes:
    """8-bit samples, rounded (core nodes truncate)."""
    levels: Bytes = np.clip(image * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    return levels


def _rounded_wide(image: Image) -> Samples:
    levels: Samples = np.clip(image * np.float32(65535) + np.float32(0.5), 0, 65535).astype(np.uint16)
    return levels


def _evened(image: Image) -> Image:
    """Video needs even sides: an odd one repeats its last line."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else image
