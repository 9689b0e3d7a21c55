"""Frames and sound of media files, through PyAV (ComfyUI has it since 0.3.20), else frames through OpenCV."""

import contextlib
import importlib
import io
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import _host
from ._pictures import resized

MULTIPLE = 8
FORCED = re.compile(r"(\d+|\?)x(\d+|\?)")
NO_DECODER = "Videos need the package av (PyAV) beside ComfyUI: pip install av."
EARLY = 1e-4
"""Seconds by which a frame may come late and still counts as on time."""


class Absent(Mapping[str, Any]):
    """An output that there is not: an empty mapping, and whoever asks it for something is told why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __getitem__(self, key: str) -> Any:
        raise ValueError(self.reason)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True)
class Choice:
    """Which frames are wanted, and in which size. A rate of 0 is the video's own, a cap of 0 is none."""

    rate: int = 0
    skip: int = 0
    every: int = 1
    cap: int = 0
    size: str = "Disabled"
    width: int = 0
    height: int = 0

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """The size that a video of that size gets; a free side keeps the aspect and is a multiple of 8."""
        named = {"Custom": f"{self.width}x{self.height}", "Custom Width": f"{self.width}x?"}
        named["Custom Height"] = f"?x{self.height}"
        match = FORCED.fullmatch(named.get(self.size, self.size))
        if match is None:
            return width, height
        across, down = match.groups()
        if across == "?":
            across = _near(width * int(down) / height)
        elif down == "?":
            down = _near(height * int(across) / width)
        if not int(across) or not int(down):
            raise ValueError("The width and height that the frames are forced to must be above 0.")
        return int(across), int(down)


@dataclass(frozen=True)
class Source:
    """A video that is open: `frames` yields seconds since its start and 8-bit RGB pictures."""

    rate: float
    count: int
    width: int
    height: int
    frames: Iterator[tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Loaded:
    """Frames as float32 [N,H,W,3], the facts as VideoHelperSuite tells them, and when the first one begins."""

    frames: np.ndarray
    info: dict[str, Any]
    start: float


def load(path: Path, choice: Choice) -> Loaded:
    """The chosen frames of a video. Raises ValueError."""
    with _opened(path) as source:
        rate = float(choice.rate or source.rate)
        pictures: list[np.ndarray] = []
        size = choice.wanted_size(source.width, source.height)
        for picture in _chosen(source, choice, rate):
            _host.engine().check_stopped()
            _host.check_room((len(pictures) + 1, size[1], size[0], 3))
            pictures.append(resized(picture[np.newaxis], *size)[0])
        if not pictures:
            raise ValueError("The video has no frame left: skip_first_frames or select_every_nth is too large.")
        info = _info(source, rate / choice.every, len(pictures), size)
    frames = np.empty((len(pictures), size[1], size[0], 3), np.float32)
    for index, picture in enumerate(pictures):
        np.divide(picture, np.float32(255), out=frames[index])
    return Loaded(frames, info, choice.skip / rate)


def sound(content: bytes | Path, name: str, start: float = 0.0, seconds: float | None = None) -> dict[str, Any]:
    """The sound track as {waveform float32 [1,C,T], sample_rate}. Raises ValueError that names the file."""
    av = _optional("av")
    if av is None:
        raise ValueError("Sound needs the package av (PyAV) beside ComfyUI: pip install av.")
    try:
        with av.open(io.BytesIO(content) if isinstance(content, bytes) else str(content)) as container:
            if not container.streams.audio:
                raise ValueError(f"{name} has no sound.")
            stream = container.streams.audio[0]
            rate = stream.rate
            waveform = _samples(av, container, stream)
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{name} has no sound that can be read: {error}") from error
    first = round(start * rate)
    last = waveform.shape[-1] if seconds is None else first + round(seconds * rate)
    return {"waveform": _host.engine().array(waveform[np.newaxis, :, first:last]), "sample_rate": rate}


def _samples(av: Any, container: Any, stream: Any) -> np.ndarray:
    resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    pieces: list[np.ndarray] = []
    count = 0
    for frame in _with_end(container.decode(stream)):
        for piece in resampler.resample(frame):
            samples = piece.to_ndarray()
            count += samples.shape[-1]
            _host.check_room((samples.shape[0], count))
            pieces.append(samples)
    if not pieces:
        raise ValueError("The sound track is empty.")
    return np.concatenate(pieces, axis=-1)


def _with_end(frames: Iterator[Any]) -> Iterator[Any]:
    """The frames, then None: it lets out what the resampler still holds."""
    yield from frames
    yield None


def _chosen(source: Source, choice: Choice, rate: float) -> Iterator[np.ndarray]:
    """Frames at the rate, then without the first ones, then every nth, then at most so many."""
    given = 0
    for index, picture in enumerate(_paced(source, rate) if choice.rate else _only(source.frames)):
        place = index - choice.skip
        if place < 0 or place % choice.every:
            continue
        yield picture
        given += 1
        if given == choice.cap:
            return


def _only(frames: Iterator[tuple[float, np.ndarray]]) -> Iterator[np.ndarray]:
    for _, picture in frames:
        yield picture


def _paced(source: Source, rate: float) -> Iterator[np.ndarray]:
    """What is seen at each tick of the rate: frames are repeated or left out."""
    tick = 0
    shown: np.ndarray | None = None
    end = 0.0
    for seconds, picture in itertools.chain(source.frames, ((math.inf, None),)):
        until = end if picture is None else seconds
        while shown is not None and tick / rate < until - EARLY:
            yield shown
            tick += 1
        shown, end = picture, seconds + 1 / source.rate


def _opened(path: Path) -> AbstractContextManager[Source]:
    for name, opener in OPENERS.items():
        library = _optional(name)
        if library is not None:
            return opener(library, path)
    raise ValueError(NO_DECODER)


@contextlib.contextmanager
def _by_av(av: Any, path: Path) -> Iterator[Source]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path.name} has no pictures.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or stream.guessed_rate or 25)
            length = container.duration / av.time_base if container.duration else 0
            count = stream.frames or round(length * rate)
            _host.check_room((stream.codec_context.height, stream.codec_context.width, 3))
            frames = _decoded(container, stream, rate)
            first = next(frames, None)
            if first is None:
                raise ValueError(f"{path.name} has no pictures.")
            height, width = first[1].shape[:2]
            yield Source(rate, count, width, height, itertools.chain((first,), frames))
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{path.name} is no video that can be read: {error}") from error


def _decoded(container: Any, stream: Any, rate: float) -> Iterator[tuple[float, np.ndarray]]:
    first: float | None = None
    for index, frame in enumerate(container.decode(stream)):
        seconds = frame.time if frame.time is not None else index / rate
        first = seconds if first is None else first
        picture = frame.to_ndarray(format="rgb24")
        # A phone that was held upright says by which angle to turn its pictures.
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        yield seconds - first, np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


@contextlib.contextmanager
def _by_opencv(cv2: Any, path: Path) -> Iterator[Source]:
    video = cv2.VideoCapture(str(path))
    try:
        rate = video.get(cv2.CAP_PROP_FPS) or 25.0
        count = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        width, height = (int(video.get(one)) for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if not video.isOpened() or not width or not height or not math.isfinite(rate):
            raise ValueError(f"{path.name} is no video that can be read.")
        _host.check_room((height, width, 3))
        yield Source(rate, count, width, height, _grabbed(cv2, video, rate))
    finally:
        video.release()


def _grabbed(cv2: Any, video: Any, rate: float) -> Iterator[tuple[float, np.ndarray]]:
    index = 0
    while True:
        found, picture = video.read()
        if not found:
            return
        yield index / rate, np.ascontiguousarray(picture[..., ::-1])
        index += 1


OPENERS: dict[str, Callable[[Any, Path], AbstractContextManager[Source]]] = {"av": _by_av, "cv2": _by_opencv}


def _info(source: Source, rate: float, count: int, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "source_fps": source.rate,
        "source_frame_count": source.count,
        "source_duration": source.count / source.rate,
        "source_width": source.width,
        "source_height": source.height,
        "loaded_fps": rate,
        "loaded_frame_count": count,
        "loaded_duration": count / rate,
        "loaded_width": size[0],
        "loaded_height": size[1],
    }


def _near(length: float) -> str:
    return str(max(MULTIPLE, int(length + MULTIPLE // 2) // MULTIPLE * MULTIPLE))


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
