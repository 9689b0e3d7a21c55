"""Moving pictures from files: what a file says of itself, and its frames within the engine's bound on memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.media.library import MAX_FRAME_PIXELS, library, opened
from comfyserve.embedded.pixels.arrays import Bytes, Image

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

RGB = 3
SAMPLE_BYTES = 4
# What one held frame costs at least, however small its picture is.
FRAME_BYTES = 512
# From this many frames on, a node tells how far it is.
LONG = 32


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of its pictures before they are decoded: untrusted. `count` is 0 when it says nothing."""

    width: int
    height: int
    rate: Fraction
    count: int

    @property
    def fps(self) -> float:
        return float(self.rate)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.count / self.fps


@dataclass(frozen=True, slots=True)
class Film:
    """An open file with moving pictures."""

    path: Path
    container: InputContainer
    stream: VideoStream
    head: Head

    def frames(self) -> Iterator[VideoFrame]:
        """The frames as they are stored; between two of them the prompt can be interrupted."""
        context = current()
        for frame in self.container.decode(self.stream):
            context.check_interrupted()
            yield frame


@contextmanager
def film(path: Path) -> Iterator[Film]:
    """Open a file with moving pictures. ValueError when it has none, or breaks while it is read."""
    with opened(path) as container:
        if not container.streams.video:
            raise ValueError(f"{path.name} has no pictures. Give a video file.")
        stream = container.streams.video[0]
        if not 0 < stream.width * stream.height <= MAX_FRAME_PIXELS:
            raise ValueError(f"{path.name} has frames of {stream.width} x {stream.height}, which cannot be read.")
        stream.thread_type = "AUTO"
        yield Film(path, container, stream, _head(container, stream))


def _head(container: InputContainer, stream: VideoStream) -> Head:
    rate = Fraction(stream.average_rate or stream.guessed_rate or 1)
    count = stream.frames
    if not count and container.duration:
        count = int(container.duration / library().time_base * float(rate) + 0.5)
    return Head(stream.width, stream.height, rate, max(count, 0))


class FrameStore:
    """Frames of one size on their way into an IMAGE; kept as bytes until all are there."""

    def __init__(self, name: str, expected: int = 0) -> None:
        self._name = name
        self._expected = expected
        self._frames: deque[Bytes] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def check_room(self, width: int, height: int, count: int, channels: int = RGB) -> None:
        """ValueError when so many frames of that size would take more than the engine gives one file."""
        limit = current().settings.media_bytes
        if max(width * height * channels * SAMPLE_BYTES, FRAME_BYTES) * count > limit:
            raise ValueError(
                f"{self._name}: {count} frames of {width} x {height} are more than the {limit} bytes that this engine"
                " holds at once. Load fewer frames, or smaller ones."
            )

    def add(self, frame: Bytes) -> None:
        """Keep one frame [height, width, channels]. ValueError when it has another size, or is one too many."""
        if self._frames and frame.shape != self._frames[0].shape:
            raise ValueError(f"{self._name} changes its size at frame {len(self)}. Convert it to one size first.")
        self.check_room(frame.shape[1], frame.shape[0], len(self) + 1, frame.shape[2])
        self._frames.append(frame)
        if self._expected >= LONG:
            current().progress(min(len(self), self._expected), self._expected)

    def image(self) -> Image:
        """All frames as IMAGE; the store is empty afterwards. ValueError when there are none."""
        if not self._frames:
            raise ValueError(f"{self._name} gives no frames. Ask for less to be skipped, or give another file.")
        image = np.empty((len(self), *self._frames[0].shape), np.float32)
        for samples in image:
            np.divide(self._frames.popleft(), np.float32(255), out=samples)
        return image


def read_frames(path: Path) -> tuple[Image, Head]:
    """Every frame of a file. ValueError when they are more than the engine's bound, or the file is no video."""
    with film(path) as source:
        head = source.head
        store = FrameStore(path.name, head.count)
        store.check_room(head.width, head.height, head.count)
        for frame in source.frames():
            store.add(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
        return store.image(), head
