"""AUDIO values, {"waveform": float32 [batch, channels, samples], "sample_rate": Hz}, from files and into files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.context import current
from comfyserve.embedded.media.library import created, library, opened
from comfyserve.embedded.media.resample import Wave

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import InputContainer, OutputContainer

Audio = Mapping[str, Any]


class NoSoundError(ValueError):
    """The file has no audio track."""


# Samples that are handed to an encoder at once; between two of them the prompt can be interrupted.
PIECE = 1 << 16
# A held piece of a sound counts as this many samples at least, however short it is.
SMALLEST = 128
# Whole-number samples to -1..1.
SCALE = {"int16": 2**15, "int32": 2**31, "int64": 2**63}


def as_audio(waveform: Wave, sample_rate: int) -> dict[str, Any]:
    """An AUDIO value."""
    return {"waveform": waveform, "sample_rate": sample_rate}


def check_length(channels: int, samples: int) -> None:
    """ValueError when that much sound would take more memory than the engine gives one file."""
    limit = current().settings.media_bytes
    if channels * samples * 4 > limit:
        raise ValueError(
            f"{samples} samples in {channels} channels are more than the {limit} bytes that this engine holds at once."
            " Use a shorter sound."
        )


@dataclass(frozen=True, slots=True)
class SoundCoding:
    """How a sound is encoded. `variable`: the codec picks its best quality (MP3: V0); `stereo`: mono becomes stereo."""

    codec: str
    bit_rate: int | None = None
    variable: bool = False
    stereo: bool = False


def read_sound(path: Path, start: float = 0.0, duration: float = 0.0) -> dict[str, Any]:
    """The first sound of a file from `start` on, for `duration` seconds (0: all). NoSoundError without a track."""
    with opened(path) as container:
        if not container.streams.audio:
            raise NoSoundError(f"{path.name} has no sound. Give a file with an audio track.")
        found = decode_track(container, container.streams.audio[0], start, duration)
    if found is None:
        raise ValueError(f"{path.name} has no sound there. Start earlier, or give another file.")
    return found


def decode_track(
    container: InputContainer, stream: AudioStream, start: float = 0.0, duration: float = 0.0
) -> dict[str, Any] | None:
    """One track of an open file, None when nothing of it is left after the cut."""
    rate, context = int(stream.sample_rate or 0), current()
    skip = round(start * rate)
    end = skip + round(duration * rate) if duration > 0 else None
    pieces: deque[Wave] = deque()
    at = 0
    for frame in container.decode(stream):
        context.check_interrupted()
        piece = _samples(frame, stream.codec_context.channels)
        check_length(len(piece), max(at + piece.shape[1] - skip, len(pieces) * SMALLEST))
        kept = piece[:, max(skip - at, 0) : None if end is None else max(end - at, 0)]
        if kept.shape[1]:
            pieces.append(kept)
        at += piece.shape[1]
        if end is not None and at >= end:
            break
    return as_audio(_joined(pieces)[np.newaxis], rate) if pieces else None


def _joined(pieces: deque[Wave]) -> Wave:
    """One behind the other; each is let go when it is copied, so that the sound is not held twice."""
    whole = np.empty((len(pieces[0]), sum(piece.shape[1] for piece in pieces)), np.float32)
    at = 0
    while pieces:
        piece = pieces.popleft()
        whole[:, at : at + piece.shape[1]] = piece
        at += piece.shape[1]
    return whole


def _samples(frame: AudioFrame, channels: int) -> Wave:
    """One frame as [channels, samples], whatever its sample format."""
    given: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        given = given.reshape(-1, channels).T
    if given.dtype == np.uint8:
        return (given.astype(np.float32) - 128) / np.float32(128)
    return np.asarray(given / np.float32(SCALE.get(given.dtype.name, 1)), np.float32)


def fitting_rate(codec: str, rate: int) -> int:
    """The sample rate itself if the encoder has it, otherwise its next higher one, or its highest."""
    rates = _rates(codec)
    return next((known for known in rates if known >= rate), rates[-1]) if rates else rate


def _rates(codec: str) -> list[int]:
    """The sample rates of an encoder; empty when it takes any."""
    return sorted(library().Codec(codec, "w").audio_rates or ())


def write_sound(path: Path, wave: Wave, rate: int, form: str, coding: SoundCoding, tags: Mapping[str, str]) -> None:
    """One sound [channels, samples] as a file with its tags. ValueError for what the codec cannot hold."""
    with created(path, form=form) as container:
        container.metadata.update(tags)
        track = SoundTrack(container, wave, rate, coding)
        track.finish()


@dataclass
class SoundTrack:
    """The sound of a file that is being written; its pieces go in as the pictures do."""

    container: OutputContainer
    wave: Wave
    rate: int
    coding: SoundCoding
    stream: AudioStream = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        channels = len(self.wave)
        if channels not in (1, 2) or self.wave.shape[1] == 0:
            raise ValueError(f"A sound of {self.wave.shape[1]} samples in {channels} channels cannot be saved.")
        rates = _rates(self.coding.codec)
        if rates and self.rate not in rates:
            words = ", ".join(map(str, rates))
            raise ValueError(f"{self.coding.codec} has no sample rate of {self.rate} Hz. Use one of: {words}.")
        layout = "mono" if channels == 1 and not self.coding.stereo else "stereo"
        stream = self.container.add_stream(self.coding.codec, rate=self.rate, layout=layout)
        self.stream = cast("AudioStream", stream)
        if self.coding.bit_rate:
            self.stream.bit_rate = self.coding.bit_rate
        if self.coding.variable:
            self.stream.codec_context.qscale = True

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.wave.shape[1] / self.rate)

    def write_until(self, seconds: float) -> None:
        """Encode what is heard before this moment."""
        end = min(round(seconds * self.rate), self.wave.shape[1])
        for frame in self._frames(end):
            current().check_interrupted()
            self.container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        """Encode the rest."""
        self.write_until(self.seconds)
        self.container.mux(self.stream.encode(None))

    def _frames(self, end: int) -> Iterator[AudioFrame]:
        av, layout = library(), "mono" if len(self.wave) == 1 else "stereo"
        while self.at < end:
            piece = np.ascontiguousarray(self.wave[:, self.at : min(self.at + PIECE, end)], np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = self.rate, self.at
            self.at += piece.shape[1]
            yield frame
