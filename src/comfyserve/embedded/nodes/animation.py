"""Batches saved as one animated file (catalogue of the protocol spec: IO, images; metadata: spec 11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.declare import IMAGE, SAVE_METADATA, Family, boolean, choice, integer, number, text
from comfyserve.embedded.nodes.io import Prompt, Ui, marked, png_texts
from comfyserve.embedded.pixels.arrays import Image
from comfyserve.embedded.pixels.codec import to_pillow

family = Family()

MODULE = "comfy_extras.nodes_images"
CATEGORY = "image/animation"
METHODS = {"default": 4, "fastest": 0, "slowest": 6}
# WEBP metadata lives in EXIF fields: the prompt in Model, the others downwards from Make.
EXIF_PROMPT = 0x0110
PREFIX = {"filename_prefix": text("ComfyUI")}
RATE = {"fps": number(6.0, 0.01, 1000.0, 0.01)}


@family.node(
    "SaveAnimatedWEBP",
    MODULE,
    CATEGORY,
    {
        "images": IMAGE,
        **PREFIX,
        **RATE,
        "lossless": boolean(True),
        "quality": integer(80, 0, 100),
        "method": choice(*METHODS),
    },
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_webp(
    images: Image,
    fps: float,
    filename_prefix: str,
    lossless: bool,
    quality: int,
    method: str,
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
) -> Ui:
    """One WEBP of all frames in the output folder."""
    exif = Pillow.Exif()
    texts = png_texts(prompt, extra_pnginfo)
    if "prompt" in texts:
        exif[EXIF_PROMPT] = f"prompt:{texts.pop('prompt')}"
    for tag, (key, value) in enumerate(texts.items(), start=1):
        exif[EXIF_PROMPT - tag] = f"{key}:{value}"
    options = {"exif": exif, "lossless": lossless, "quality": quality, "method": METHODS[method]}
    ui = _save(images, filename_prefix, "webp", fps, options)
    return marked(ui | {"animated": [len(images) > 1]}, prompt)


@family.node(
    "SaveAnimatedPNG",
    MODULE,
    CATEGORY,
    {"images": IMAGE, **PREFIX, **RATE, "compress_level": integer(4, 0, 9)},
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_apng(
    images: Image,
    fps: float,
    compress_level: int,
    filename_prefix: str = "ComfyUI",
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
) -> Ui:
    """One APNG of all frames in the output folder; its metadata stands in `comf` chunks behind the pictures."""
    info = PngInfo()
    for key, value in png_texts(prompt, extra_pnginfo).items():
        info.add(b"comf", key.encode() + b"\0" + value.encode(), after_idat=True)
    ui = _save(images, filename_prefix, "png", fps, {"pnginfo": info, "compress_level": compress_level})
    return marked(ui | {"animated": [True]}, prompt)


def _save(images: Image, prefix: str, ext: str, fps: float, options: dict[str, Any]) -> Ui:
    """All frames as one file."""
    target = current().folders.next_output(prefix, "output", images.shape[2], images.shape[1])
    name = target.name(0, ext)
    first, *rest = _pictures(images)
    first.save(target.folder / name, save_all=True, append_images=rest, duration=int(1000 / fps), **options)
    return {"images": [{"filename": name, "subfolder": target.subfolder, "type": "output"}]}


def _pictures(images: Image) -> Iterator[Pillow.Image]:
    context = current()
    for picture in images:
        context.check_interrupted()
        yield to_pillow(picture)
