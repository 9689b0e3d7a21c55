"""Tiny sound and video files for tests, made with the library that the engine reads them with."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

RATE = 8000


def grays(count: int, width: int = 32, height: int = 16) -> npt.NDArray[np.uint8]:
    """Frames of one gray each: 0, 10, 20, ..., so that a frame tells its number."""
    levels = (np.arange(count) * 10 % 256).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def tone(seconds: float, channels: int = 1, rate: int = RATE) -> npt.NDArray[np.float32]:
    """A sine of 440 Hz, [channels, samples]; the second channel is half as loud."""
    wave = np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate).astype(np.float32)
    return np.stack([wave / (1 + channel) for channel in range(channels)])


def write_video(
    path: Path,
    frames: npt.NDArray[np.uint8],
    rate: int = 10,
    codec: str = "libx264",
    sound: npt.NDArray[np.float32] | None = None,
    options: dict[str, str] | None = None,
    turned: int = 0,
) -> Path:
    """A video of these frames at high quality; `turned` is how a player shall turn them, counterclockwise."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, options={"crf": "1"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if turned:
            stream.set_display_rotation(turned)
        track: Any = None if sound is None else container.add_stream("aac", rate=RATE, layout="mono")
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
        if track is not None and sound is not None:
            piece = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            piece.sample_rate = RATE
            container.mux(track.encode(piece))
            container.mux(track.encode(None))
    return path


def write_wav(path: Path, wave: npt.NDArray[np.float32], rate: int = RATE, codec: str = "pcm_s16le") -> Path:
    """A WAV file, or whatever the ending says, of [channels, samples]."""
    layout = "mono" if len(wave) == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seconds(path: Path) -> float:
    """How long a file is."""
    with av.open(str(path)) as container:
        return (container.duration or 0) / av.time_base


def levels(image: npt.NDArray[np.float32]) -> list[int]:
    """The gray of each frame of an IMAGE, to the nearest of grays()."""
    return [int(round(float(frame.mean()) * 25.5) * 10) for frame in image]
