"""Videos: load, make, take apart, save (catalogue of the protocol spec: Video)."""

from __future__ import annotations

from fractions import Fraction

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.media.encode import PictureCoding, Reel, millirate, write_video
from comfyserve.embedded.media.sound import Audio
from comfyserve.embedded.media.video import (
    CODECS,
    FORMATS,
    Video,
    VideoComponents,
    VideoFromComponents,
    VideoFromFile,
)
from comfyserve.embedded.nodes.declare import SAVE_METADATA, Family, choice, listing, number, text
from comfyserve.embedded.nodes.io import Prompt, Ui, image_exists, marked, png_texts
from comfyserve.embedded.pixels.arrays import Image, to_bytes

family = Family()

MODULE = "comfy_extras.nodes_video"
CATEGORY = "image/video"
WEBM = {
    "vp9": PictureCoding("libvpx-vp9", "yuv420p"),
    "av1": PictureCoding("libsvtav1", "yuv420p10le", {"preset": "6"}),
}


def _videos(folders: Folders) -> list[str]:
    return folders.input_files(("video",))


def video_exists(file: str) -> bool | str:
    """The validator of LoadVideo: the annotated file is there."""
    return image_exists(file) is True or f"Invalid video file: {file}"


def video_changed(file: str) -> float:
    """The fingerprint of LoadVideo: the time of the last change, since videos are long."""
    return current().folders.annotated_path(file).stat().st_mtime


@family.node(
    "LoadVideo",
    MODULE,
    CATEGORY,
    {"file": listing(_videos, video_upload=True)},
    ("VIDEO",),
    title="Load Video",
    v3=True,
    validate=video_exists,
    fingerprint=video_changed,
)
def load_video(file: str) -> Video:
    """A file of the input folder; nothing is decoded yet."""
    return VideoFromFile(current().folders.annotated_path(file))


@family.node(
    "CreateVideo",
    MODULE,
    CATEGORY,
    {"images": ("IMAGE", {}), "fps": number(30.0, 1.0, 120.0, 1.0)},
    ("VIDEO",),
    title="Create Video",
    optional={"audio": ("AUDIO", {})},
    v3=True,
)
def create_video(images: Image, fps: float, audio: Audio | None = None) -> Video:
    """Frames, rate and sound together; nothing is encoded yet."""
    return VideoFromComponents(VideoComponents(images, Fraction(fps), audio))


@family.node(
    "GetVideoComponents",
    MODULE,
    CATEGORY,
    {"video": ("VIDEO", {})},
    ("IMAGE", "AUDIO", "FLOAT"),
    title="Get Video Components",
    names=("images", "audio", "fps"),
    v3=True,
)
def get_video_components(video: Video) -> tuple[Image, Audio | None, float]:
    """The frames, the sound and the rate."""
    parts = video.get_components()
    return parts.images, parts.audio, float(parts.frame_rate)


@family.node(
    "SaveVideo",
    MODULE,
    CATEGORY,
    {
        "video": ("VIDEO", {}),
        "filename_prefix": text("video/ComfyUI", multiline=False),
        "format": choice(*FORMATS, default="auto"),
        "codec": choice(*CODECS, default="auto"),
    },
    title="Save Video",
    hidden=SAVE_METADATA,
    output_node=True,
    v3=True,
)
def save_video(
    video: Video,
    filename_prefix: str,
    format: str,
    codec: str,
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
) -> Ui:
    """One MP4 file; a video file that fits already is not encoded again."""
    width, height = video.get_dimensions()
    target = current().folders.next_output(filename_prefix, "output", width, height)
    name = target.name(0, "mp4")
    video.save_to(target.folder / name, format, codec, png_texts(prompt, extra_pnginfo))
    return _shown(name, target.subfolder, prompt)


@family.node(
    "SaveWEBM",
    MODULE,
    CATEGORY,
    {
        "images": ("IMAGE", {}),
        "filename_prefix": text("ComfyUI", multiline=False),
        "codec": choice(*WEBM),
        "fps": number(24.0, 0.01, 1000.0, 0.01),
        "crf": number(32.0, 0, 63.0, 1),
    },
    hidden=SAVE_METADATA,
    output_node=True,
    v3=True,
    experimental=True,
)
def save_webm(
    images: Image,
    filename_prefix: str,
    codec: str,
    fps: float,
    crf: float,
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
) -> Ui:
    """One WEBM file of all frames, in VP9 or AV1; the lower crf, the better."""
    _, height, width, _ = images.shape
    target = current().folders.next_output(filename_prefix, "output", width, height)
    name = target.name(0, "webm")
    given = WEBM[codec]
    options = {"crf": f"{crf:g}", **given.options}
    reel = Reel((to_bytes(image[..., :3]) for image in images), width, height, millirate(fps), len(images))
    coding = PictureCoding(given.codec, given.pixels, options, bit_rate=0)
    write_video(target.folder / name, reel, coding, png_texts(prompt, extra_pnginfo), options={})
    return _shown(name, target.subfolder, prompt)


def _shown(name: str, subfolder: str, prompt: Prompt | None) -> Ui:
    item = {"filename": name, "subfolder": subfolder, "type": "output"}
    return marked({"images": [item], "animated": [True]}, prompt)
