"""Moving pictures into files: frames through an encoder, with sound beside them and tags on the container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.context import current
from comfyserve.embedded.media.frames import LONG
from comfyserve.embedded.media.library import created, library, opened
from comfyserve.embedded.media.resample import Wave
from comfyserve.embedded.media.sound import SoundCoding, SoundTrack

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import OutputContainer

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Bytes per sample and channels of a frame -> FFmpeg's word for it.
LAYOUTS = {(1, 3): "rgb24", (1, 4): "rgba", (2, 3): "rgb48le", (2, 4): "rgba64le"}
# MP4 drops tags that it does not know, as prompt and workflow are, unless told otherwise.
KEEP_TAGS = {"movflags": "use_metadata_tags"}
# Encoders that take no odd sides with their colours at half size.
EVEN_SIDES = ("libx264", "libx265", "h264_nvenc", "hevc_nvenc", "av1_nvenc")
# What x264's fast code writes depends on where its buffers lie, and on the machine's processor and number of cores.
SAME_BYTES = {"libx264": {"threads": "1", "x264-params": "cpu-independent=1"}}
GPU_NEEDED = "It needs an NVIDIA GPU with a video encoder; choose another format where there is none."
BT709 = 1
LIMITED_RANGE = 1


@dataclass(frozen=True, slots=True)
class PictureCoding:
    """How frames are encoded. `bt709` converts by, and declares, the colours of HD video."""

    codec: str
    pixels: str
    options: Mapping[str, str] = field(default_factory=dict)
    bit_rate: int | None = None
    bt709: bool = False
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Reel:
    """Frames [height, width, 3 or 4] of one size, one after the other; `count` of them."""

    frames: Iterable[Samples]
    width: int
    height: int
    rate: Fraction
    count: int


@dataclass(frozen=True, slots=True)
class Sound:
    """What is heard with a reel: [channels, samples]."""

    wave: Wave
    rate: int
    coding: SoundCoding


def millirate(rate: float | Fraction) -> Fraction:
    """Frames per second, rounded to 1/1000 as ComfyUI rounds them."""
    return Fraction(round(Fraction(rate) * 1000), 1000)


def write_video(
    path: Path,
    reel: Reel,
    coding: PictureCoding,
    tags: Mapping[str, str],
    sound: Sound | None = None,
    options: Mapping[str, str] = KEEP_TAGS,
) -> None:
    """Encode a reel into a file; its ending says the container. ValueError for what the encoder refuses."""
    if coding.codec in EVEN_SIDES and (reel.width % 2 or reel.height % 2):
        raise ValueError(
            f"{coding.codec} needs even sides; these frames are {reel.width} x {reel.height}. Scale or crop them."
        )
    context = current()
    hint = GPU_NEEDED if coding.codec.endswith("_nvenc") else "Choose another format."
    with created(path, dict(options), hint=hint) as container:
        container.metadata.update(tags)
        stream = _stream(container, reel, coding)
        track = SoundTrack(container, sound.wave, sound.rate, sound.coding) if sound else None
        for index, samples in enumerate(reel.frames, 1):
            context.check_interrupted()
            container.mux(stream.encode(_frame(samples, coding)))
            if track is not None:
                track.write_until(index / float(reel.rate))
            if reel.count >= LONG:
                context.progress(min(index, reel.count), reel.count)
        container.mux(stream.encode(None))
        if track is not None:
            track.finish()


def add_sound(source: Path, target: Path, sound: Sound, tags: Mapping[str, str], options: Mapping[str, str]) -> None:
    """The pictures of a file as they are, with a sound; they end where the sound ends."""
    context = current()
    with opened(source) as given, created(target, dict(options)) as made:
        made.metadata.update(tags)
        pictures = given.streams.video[0]
        copy = made.add_stream_from_template(template=pictures, opaque=True)
        track = SoundTrack(made, sound.wave, sound.rate, sound.coding)
        for packet in given.demux(pictures):
            context.check_interrupted()
            if packet.dts is None:
                continue
            at = float(packet.dts * (packet.time_base or 0))
            if at >= track.seconds:
                break
            track.write_until(max(at, 0.0))
            packet.stream = copy
            made.mux(packet)
        track.finish()


def write_pictures(pattern: Path, reel: Reel, pixels: str) -> list[Path]:
    """Each frame as a PNG; `%03d` in the file name becomes its number, from 1 on."""
    context, av = current(), library()
    encoder: Any = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = reel.width, reel.height, pixels
    encoder.time_base = 1 / reel.rate
    files = []
    for number, samples in enumerate(reel.frames, 1):
        context.check_interrupted()
        path = pattern.with_name(pattern.name % number)
        path.write_bytes(
            b"".join(bytes(packet) for packet in encoder.encode(as_frame(samples).reformat(format=pixels)))
        )
        files.append(path)
    return files


def as_frame(samples: Samples) -> VideoFrame:
    """Samples [height, width, 3 or 4] as FFmpeg holds them. ValueError for other channels."""
    layout = LAYOUTS.get((samples.itemsize, samples.shape[-1]))
    if layout is None:
        raise ValueError(f"A picture with {samples.shape[-1]} channels cannot be in a video: it needs 3 or 4.")
    frame: VideoFrame = library().VideoFrame.from_ndarray(np.ascontiguousarray(samples), format=layout)
    return frame


def encoder_exists(name: str) -> bool:
    """Whether this build of FFmpeg has the encoder (it may still lack the hardware that it needs)."""
    return name in library().codecs_available


def _stream(container: OutputContainer, reel: Reel, coding: PictureCoding) -> VideoStream:
    if not encoder_exists(coding.codec):
        raise ValueError(f"This engine cannot encode with {coding.codec}. Choose another format.")
    stream: Any = container.add_stream(
        coding.codec, rate=reel.rate, options={**SAME_BYTES.get(coding.codec, {}), **coding.options}
    )
    stream.width, stream.height, stream.pix_fmt = reel.width, reel.height, coding.pixels
    if coding.bit_rate is not None:
        stream.bit_rate = coding.bit_rate
    context = stream.codec_context
    if coding.tag is not None:
        context.codec_tag = coding.tag
    if coding.bt709:
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED_RANGE
    return cast("VideoStream", stream)


def _frame(samples: Samples, coding: PictureCoding) -> VideoFrame:
    frame = as_frame(samples)
    if coding.pixels == frame.format.name:
        return frame
    return frame.reformat(format=coding.pixels, dst_colorspace="ITU709" if coding.bt709 else None)
