"""Videos that stay in memory (catalogue of the protocol spec: Video); files need a decoder and live elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from comfyserve.embedded.nodes.declare import IMAGE, Family, number
from comfyserve.embedded.pixels.arrays import Image

family = Family()

MODULE = "comfy_extras.nodes_video"
CATEGORY = "image/video"


@dataclass(frozen=True, eq=False)
class Video:
    """A VIDEO value: frames with their rate, and an AUDIO value or None; nothing is encoded yet."""

    frames: Image
    fps: Fraction
    audio: dict[str, Any] | None = None


@family.node(
    "CreateVideo",
    MODULE,
    CATEGORY,
    {"images": IMAGE, "fps": number(30.0, 1.0, 120.0, 1.0)},
    ("VIDEO",),
    title="Create Video",
    optional={"audio": ("AUDIO",)},
    v3=True,
)
def create_video(images: Image, fps: float, audio: dict[str, Any] | None = None) -> Video:
    """Frames, rate and sound together."""
    return Video(images, Fraction(fps), audio)


@family.node(
    "GetVideoComponents",
    MODULE,
    CATEGORY,
    {"video": ("VIDEO",)},
    ("IMAGE", "AUDIO", "FLOAT"),
    title="Get Video Components",
    names=("images", "audio", "fps"),
    v3=True,
)
def get_video_components(video: Video) -> tuple[Image, dict[str, Any] | None, float]:
    """The frames, the sound and the rate."""
    return video.frames, video.audio, float(video.fps)
