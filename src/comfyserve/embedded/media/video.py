"""VIDEO values: frames in memory or a file, with the method names that node packs know from ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from comfyserve.embedded.context import current
from comfyserve.embedded.media.encode import KEEP_TAGS, PictureCoding, Reel, Sound, millirate, write_video
from comfyserve.embedded.media.frames import film, read_frames
from comfyserve.embedded.media.library import created, opened
from comfyserve.embedded.media.sound import Audio, SoundCoding, decode_track
from comfyserve.embedded.pixels.arrays import Bytes, Image, to_bytes

if TYPE_CHECKING:
    from av.container import InputContainer

AUTO = "auto"
FORMATS = (AUTO, "mp4")
CODECS = (AUTO, "h264")
H264 = PictureCoding("libx264", "yuv420p")
AAC = SoundCoding("aac", stereo=True)


@dataclass(frozen=True, eq=False, slots=True)
class VideoComponents:
    """Everything in a video: frames, their rate, and an AUDIO value or None."""

    images: Image
    frame_rate: Fraction
    audio: Audio | None = None


class Video(Protocol):
    """What every VIDEO value can do."""

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height."""

    def get_components(self) -> VideoComponents:
        """The decoded video. ValueError when it cannot be read, or is more than the engine holds."""

    def save_to(
        self, path: Path, format: str = AUTO, codec: str = AUTO, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Write it to a file with its tags. ValueError for a format or a codec that is not in FORMATS and CODECS."""


@dataclass(frozen=True, eq=False, slots=True)
class VideoFromComponents:
    """Frames and sound that are not encoded yet."""

    components: VideoComponents

    def get_dimensions(self) -> tuple[int, int]:
        _, height, width, _ = self.components.images.shape
        return width, height

    def get_components(self) -> VideoComponents:
        return self.components

    def save_to(
        self, path: Path, format: str = AUTO, codec: str = AUTO, metadata: Mapping[str, str] | None = None
    ) -> None:
        _check_choice(format, codec)
        images, rate = self.components.images, millirate(self.components.frame_rate)
        width, height = self.get_dimensions()
        reel = Reel(_bytes(images), width, height, rate, len(images))
        write_video(path, reel, H264, metadata or {}, _sound(self.components.audio, rate, len(images)))


@dataclass(frozen=True, slots=True)
class VideoFromFile:
    """A video file, decoded only when something asks for its frames."""

    path: Path

    def get_dimensions(self) -> tuple[int, int]:
        with film(self.path) as source:
            return source.head.width, source.head.height

    def get_components(self) -> VideoComponents:
        images, head = read_frames(self.path)
        return VideoComponents(images, head.rate, self._audio())

    def save_to(
        self, path: Path, format: str = AUTO, codec: str = AUTO, metadata: Mapping[str, str] | None = None
    ) -> None:
        _check_choice(format, codec)
        with opened(self.path) as source:
            fits = format in (AUTO, *source.format.name.split(","))
            same = all(codec in (AUTO, stream.codec.name) for stream in source.streams.video[:1])
            if fits and same:
                _copy_streams(source, path, metadata or {})
                return
        VideoFromComponents(self.get_components()).save_to(path, format, codec, metadata)

    def _audio(self) -> Audio | None:
        with opened(self.path) as container:
            streams = container.streams.audio
            return decode_track(container, streams[-1]) if streams else None


def _check_choice(form: str, codec: str) -> None:
    if form not in FORMATS or codec not in CODECS:
        raise ValueError(
            f"A video cannot be saved as {form} with {codec}."
            f" Formats: {', '.join(FORMATS)}; codecs: {', '.join(CODECS)}."
        )


def _copy_streams(source: InputContainer, path: Path, tags: Mapping[str, str]) -> None:
    """The same packets in another container: nothing is decoded, nothing is lost."""
    context = current()
    with created(path, KEEP_TAGS) as target:
        target.metadata.update({**source.metadata, **tags})
        copies = {
            stream.index: target.add_stream_from_template(template=stream, opaque=True)
            for stream in (*source.streams.video, *source.streams.audio, *source.streams.subtitles)
        }
        for packet in source.demux():
            context.check_interrupted()
            if packet.stream.index in copies and packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                target.mux(packet)


def _bytes(images: Image) -> Iterator[Bytes]:
    return (to_bytes(image[..., :3]) for image in images)


def _sound(audio: Audio | None, rate: Fraction, frames: int) -> Sound | None:
    """The first item of an AUDIO, not longer than the frames."""
    if audio is None:
        return None
    samples = ceil(audio["sample_rate"] / rate * frames)
    return Sound(audio["waveform"][0, :, :samples], audio["sample_rate"], AAC)
