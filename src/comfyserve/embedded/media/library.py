"""PyAV (FFmpeg's libraries), imported when the first media file is opened, and the rules for opening one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

# Only formats that hold their media themselves: FFmpeg's playlists and scripts (HLS, concat, DASH, SDP) name further
# files and addresses, and a caller's file must never decide what is read.
FORMATS = (
    "mov,matroska,webm,avi,gif,apng,flv,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,obu,nut,"
    "ogg,wav,w64,mp3,flac,aac,aiff,caf,au,amr,ac3,eac3,asf,wv,tta"
)
READ_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
# A larger frame is refused by the decoder itself, before it takes memory; decoders hold a dozen frames at once.
MAX_FRAME_PIXELS = 8192 * 8192

EBML = b"\x1aE\xdf\xa3"
SEGMENT = b"\x18S\x80g"
EBML_HEAD = 256


class VideoExtraMissing(RuntimeError):
    """The engine runs without PyAV."""

    def __init__(self) -> None:
        super().__init__("Sound and video need the extra `video`: install it with `pip install comfyserve[video]`.")


def library() -> ModuleType:
    """The module `av`; VideoExtraMissing where the extra is not installed."""
    # The AV1 encoder would write its settings to stderr, where the engine's log is.
    os.environ.setdefault("SVT_LOG", "1")
    try:
        import av
    except ImportError as reason:
        raise VideoExtraMissing from reason
    return av


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The media file, to be decoded. ValueError when it is none, ends too early, or breaks while it is read."""
    av = library()
    try:
        with av.open(str(path), container_options=READ_OPTIONS, metadata_errors="replace") as container:
            for stream in container.streams.video:
                stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
            _check_whole(path, container)
            yield container
    except av.error.FFmpegError as reason:
        raise ValueError(
            f"{path.name} is not a sound or video file that can be read: it is damaged, cut off or of another kind."
        ) from reason


@contextmanager
def created(
    path: Path, options: dict[str, str] | None = None, form: str | None = None, hint: str = "Choose another format."
) -> Iterator[OutputContainer]:
    """A media file to be written, complete at the end; whatever goes wrong before removes it.

    ValueError for what FFmpeg refuses, with `hint` at its end.
    """
    av = library()
    try:
        with av.open(str(path), "w", format=form, container_options=options or {}) as container:
            yield container
    except BaseException as reason:
        path.unlink(missing_ok=True)
        if isinstance(reason, av.error.FFmpegError):
            raise ValueError(f"{path.name} could not be encoded: {reason.strerror}. {hint}") from reason
        raise


def _check_whole(path: Path, container: InputContainer) -> None:
    last = [stream.index_entries[-1] for stream in container.streams if len(stream.index_entries)]
    if max([_segment_end(path), *(entry.pos + entry.size for entry in last)]) > container.size:
        raise ValueError(f"{path.name} is cut off: it ends before its last frame. Send the whole file.")


def _segment_end(path: Path) -> int:
    """Where a Matroska or WebM file ends by its own words (RFC 8794, RFC 9559); 0 when it does not say."""
    with path.open("rb") as file:
        head = file.read(EBML_HEAD)
    at = head.find(SEGMENT)
    if not head.startswith(EBML) or at < 0 or at + 5 > len(head):
        return 0
    first = head[at + 4]
    width = 9 - first.bit_length()
    size = int.from_bytes(head[at + 4 : at + 4 + width]) & ((1 << 7 * width) - 1)
    unknown = size == (1 << 7 * width) - 1
    return 0 if unknown else at + 4 + width + size
