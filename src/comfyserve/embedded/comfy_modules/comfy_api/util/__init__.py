"""Words for videos, and their parts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any


class _Word(StrEnum):
    """Words that an input offers."""

    @classmethod
    def as_input(cls) -> list[str]:
        return [str(member.value) for member in cls]


class VideoCodec(_Word):
    """How a video is encoded."""

    AUTO = "auto"
    H264 = "h264"


class VideoContainer(_Word):
    """The file format of a video."""

    AUTO = "auto"
    MP4 = "mp4"

    @classmethod
    def get_extension(cls, value: Any) -> str:
        """The ending of its files, "" when it has none."""
        return "mp4" if cls(value) in (cls.MP4, cls.AUTO) else ""


@dataclass
class VideoComponents:
    """Frames [N,H,W,C], sound and rate of a video."""

    images: Any
    frame_rate: Fraction
    audio: Any = None
    metadata: dict[str, Any] | None = None
