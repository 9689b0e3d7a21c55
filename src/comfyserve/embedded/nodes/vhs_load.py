"""VHS_LoadVideo and its path variant (ComfyUI-VideoHelperSuite)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.media.frames import Film, FrameStore, film
from comfyserve.embedded.media.select import Selection
from comfyserve.embedded.media.sound import Audio, read_sound
from comfyserve.embedded.nodes.declare import Family, Inputs, Spec, choice, integer, listing
from comfyserve.embedded.nodes.io import image_exists
from comfyserve.embedded.nodes.vhs_shared import (
    CATEGORY,
    FLOAT_OR_INT,
    MARK,
    META_BATCH,
    MODULE,
    VAE,
    local_path,
    path_problem,
    refuse_unsupported,
    selection,
    stamp,
    uploaded_path,
)
from comfyserve.embedded.pixels.arrays import Bytes, Image, from_bytes, to_bytes
from comfyserve.embedded.pixels.resample import upscale

if TYPE_CHECKING:
    from av import VideoFrame

family = Family()

EXTENSIONS = ("webm", "mp4", "mkv", "gif", "mov")
MAX_SIDE = 8192
OUTPUTS = ("IMAGE", "INT", "AUDIO", "VHS_VIDEOINFO")
NAMES = ("IMAGE", "frame_count", "audio", "video_info")

# What each family of models wants: the rate its front end proposes, sizes (a multiple, and the proposed ones), and how
# many frames: a multiple of the first number, plus the second.
MODEL_FORMATS: Mapping[str, Mapping[str, Any]] = {
    "None": {},
    "AnimateDiff": {"target_rate": 8, "dim": (8, 0, 512, 512)},
    "Mochi": {"target_rate": 24, "dim": (16, 0, 848, 480), "frames": (6, 1)},
    "LTXV": {"target_rate": 24, "dim": (32, 0, 768, 512), "frames": (8, 1)},
    "Hunyuan": {"target_rate": 24, "dim": (16, 0, 848, 480), "frames": (4, 1)},
    "Cosmos": {"target_rate": 24, "dim": (16, 0, 1280, 704), "frames": (8, 1)},
    "Wan": {"target_rate": 16, "dim": (8, 0, 832, 480), "frames": (4, 1)},
}


class LazySound(Mapping[str, Any]):
    """The sound of a video, an AUDIO value that is decoded when something listens to it. NoSoundError without one."""

    def __init__(self, path: Path, start: float, duration: float) -> None:
        self._place = (path, start, duration)
        self._sound: Audio | None = None

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> Audio:
        if self._sound is None:
            self._sound = read_sound(*self._place)
        return self._sound


Loaded = tuple[Image, int, Audio, dict[str, Any]]


def _videos(folders: Folders) -> list[str]:
    """All that end as videos do here, GIF among them."""
    return [name for name in folders.input_files(("video", "image")) if _ending(name) in EXTENSIONS]


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _side() -> Spec:
    return integer(0, 0, MAX_SIDE, disable=0)


WIDGETS: Inputs = {
    "force_rate": (FLOAT_OR_INT, {"default": 0, "min": 0, "max": 60, "step": 1, "disable": 0}),
    "custom_width": _side(),
    "custom_height": _side(),
    **selection("frame_load_cap", "skip_first_frames", disable=0),
}
OPTIONAL: Inputs = {
    "meta_batch": META_BATCH,
    "vae": VAE,
    "format": choice(*MODEL_FORMATS, default="AnimateDiff", formats=MODEL_FORMATS),
}
HIDDEN = {"force_size": "STRING", "unique_id": "UNIQUE_ID"}


def _video_exists(video: str) -> bool | str:
    return image_exists(video) is True or f"There is no video {video!r}"


def _path_exists(video: str | None) -> bool | str:
    return path_problem(video, "There is no such file")


def _published(
    name: str, title: str, videos: Any, find: Callable[[str], Path], exists: Callable[[str], bool | str]
) -> Callable[..., Loaded]:
    """One of the two nodes: they differ in how a video is named and found."""

    def fingerprint(video: str, **_: object) -> str:
        return stamp(find(video))

    @family.node(
        name,
        MODULE,
        CATEGORY,
        {"video": videos, **WIDGETS},
        OUTPUTS,
        title=title + MARK,
        optional=OPTIONAL,
        hidden=HIDDEN,
        names=NAMES,
        validate=exists,
        fingerprint=fingerprint,
    )
    def load(video: str, **widgets: Any) -> Loaded:
        """The chosen frames of a video, their number, its sound, and what is known of it.

        A path leads into the engine's folders, or to where the operator allows it.
        """
        return _load(find(video), **widgets)

    return load


load_video = _published("VHS_LoadVideo", "Load Video (Upload)", listing(_videos), uploaded_path, _video_exists)
load_video_path = _published(
    "VHS_LoadVideoPath",
    "Load Video (Path)",
    ("STRING", {"placeholder": "input/clip.mp4", "vhs_path_extensions": list(EXTENSIONS)}),
    local_path,
    _path_exists,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The size that frames get: that of the file, or the asked one, to the nearest multiple."""

    width: int
    height: int

    def fitted(self, width: int, height: int, multiple: int) -> Shape:
        """0 and 0 keep the size, one 0 the proportions."""
        new_width, new_height = float(width or self.width), float(height or self.height)
        if width and not height:
            new_height = self.height * (width / self.width)
        if height and not width:
            new_width = self.width * (height / self.height)
        return Shape(_nearest(new_width, multiple), _nearest(new_height, multiple))


def _nearest(length: float, multiple: int) -> int:
    return int(length / multiple + 0.5) * multiple


def _load(
    path: Path,
    force_rate: float = 0,
    custom_width: int = 0,
    custom_height: int = 0,
    frame_load_cap: int = 0,
    skip_first_frames: int = 0,
    select_every_nth: int = 1,
    format: str = "None",
    **others: object,
) -> Loaded:
    refuse_unsupported(**others)
    rule = MODEL_FORMATS.get(format, {})
    chosen = Selection(force_rate, frame_load_cap, skip_first_frames, select_every_nth)
    with film(path) as source:
        head, frames = source.head, source.frames()
        first = next(frames, None)
        if first is None:
            raise ValueError(f"{path.name} gives no frames. It is damaged or empty.")
        shown = _turned(first).shape
        given = Shape(shown[1], shown[0])
        wanted = given.fitted(custom_width, custom_height, rule.get("dim", (1,))[0])
        images = _read(source, chain([first], frames), chosen, given, wanted)
    images = images[: _allowed(len(images), *rule.get("frames", (1, 0)))]
    spacing = chosen.frame_time(head.fps)
    apart = spacing * select_every_nth
    info = {
        "source_fps": head.fps,
        "source_frame_count": head.count,
        "source_duration": head.duration,
        "source_width": given.width,
        "source_height": given.height,
        "loaded_fps": 1 / apart,
        "loaded_frame_count": len(images),
        "loaded_duration": len(images) * apart,
        "loaded_width": wanted.width,
        "loaded_height": wanted.height,
    }
    return images, len(images), LazySound(path, skip_first_frames * spacing, frame_load_cap * apart), info


def _allowed(count: int, multiple: int, more: int) -> int:
    return (count - more) // multiple * multiple + more


def _read(source: Film, frames: Iterator[VideoFrame], chosen: Selection, given: Shape, wanted: Shape) -> Image:
    head = source.head
    expected = chosen.expected(head.count, head.fps)
    store = FrameStore(source.path.name, expected)
    store.check_room(wanted.width, wanted.height, expected)
    for frame in chosen.of(frames, head.fps):
        samples = _turned(frame)
        store.add(samples if wanted == given else _scaled(samples, wanted))
    return store.image()


def _turned(frame: VideoFrame) -> Bytes:
    """The frame as it is meant to be seen: phones store the picture lying and note the turn."""
    samples = np.asarray(frame.to_ndarray(format="rgb24", interpolation="BICUBIC"), np.uint8)
    return np.rot90(samples, round(frame.rotation / 90)) if frame.rotation else samples


def _scaled(samples: Bytes, wanted: Shape) -> Bytes:
    # Lanczos works on 8 bits inside, so that nothing is lost by keeping bytes.
    return to_bytes(upscale(from_bytes(samples)[np.newaxis], wanted.width, wanted.height, "lanczos", "center")[0])
