"""Pictures in and out of the engine's folders (catalogue of the protocol spec: IO, images)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import file_digest, sha256
from typing import Any

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.nodes.declare import (
    IMAGE,
    MASK,
    MAX_SIDE,
    SAVE_METADATA,
    Family,
    boolean,
    choice,
    integer,
    listing,
    text,
)
from comfyserve.embedded.pixels.arrays import Image, Mask, as_masks, check_room
from comfyserve.embedded.pixels.codec import CHANNELS, load_channel, load_frames, save_png
from comfyserve.embedded.simulate.marks import MARK, marks

family = Family()

Prompt = Mapping[str, Any]
Ui = dict[str, list[Any]]

TEMP_LETTERS = "abcdefghijklmnopqrstuvxyz"


def _pictures(folders: Folders) -> list[str]:
    return folders.input_files(("image",))


def image_exists(image: str) -> bool | str:
    """The validator of the loaders: the annotated file is there."""
    try:
        found = current().folders.annotated_path(image).is_file()
    except ValueError:
        found = False
    return found or f"Invalid image file: {image}"


def image_digest(image: str, **_: object) -> str:
    """The fingerprint of the loaders: sha256 of the file, so that a replaced file runs again."""
    with current().folders.annotated_path(image).open("rb") as file:
        return file_digest(file, sha256).hexdigest()


@family.node(
    "LoadImage",
    "nodes",
    "image",
    {"image": listing(_pictures, image_upload=True)},
    ("IMAGE", "MASK"),
    title="Load Image",
    validate=image_exists,
    fingerprint=image_digest,
)
def load_image(image: str) -> tuple[Image, Mask]:
    """Every frame of a file of the input folder, and its inverted alpha."""
    return load_frames(current().folders.annotated_path(image))


@family.node(
    "LoadImageMask",
    "nodes",
    "mask",
    {"image": listing(_pictures, image_upload=True), "channel": choice("alpha", "red", "green", "blue")},
    ("MASK",),
    title="Load Image (as Mask)",
    validate=image_exists,
    fingerprint=image_digest,
)
def load_image_mask(image: str, channel: str) -> Mask:
    """One channel of the file's first frame."""
    if channel not in CHANNELS:
        raise ValueError(f"There is no channel {channel!r}. Use one of: {', '.join(CHANNELS)}.")
    return load_channel(current().folders.annotated_path(image), channel)


@family.node(
    "LoadImageOutput",
    "nodes",
    "image",
    {
        "image": (
            "COMBO",
            {
                "image_upload": True,
                "image_folder": "output",
                "remote": {"route": "/internal/files/output", "refresh_button": True, "control_after_refresh": "first"},
            },
        )
    },
    ("IMAGE", "MASK"),
    title="Load Image (from Outputs)",
    experimental=True,
    validate=image_exists,
    fingerprint=image_digest,
)
def load_image_output(image: str) -> tuple[Image, Mask]:
    """As LoadImage; the name carries its folder: `name.png [output]`."""
    return load_image(image)


@family.node(
    "WebcamCapture",
    "comfy_extras.nodes_webcam",
    "image",
    {
        "image": ("WEBCAM", {}),
        "width": integer(0, 0, MAX_SIDE, 1),
        "height": integer(0, 0, MAX_SIDE, 1),
        "capture_on_queue": boolean(True),
    },
    ("IMAGE",),
    title="Webcam Capture",
    validate=image_exists,
    fingerprint=image_digest,
)
def webcam_capture(image: str, **_: object) -> Image:
    """The uploaded capture as a picture; size and trigger are the front end's business."""
    return load_image(image)[0]


@family.node(
    "SaveImage",
    "nodes",
    "image",
    {"images": IMAGE, "filename_prefix": text("ComfyUI")},
    title="Save Image",
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_image(
    images: Image, filename_prefix: str = "ComfyUI", prompt: Prompt | None = None, extra_pnginfo: Prompt | None = None
) -> Ui:
    """One PNG per item in the output folder."""
    return _save(images, filename_prefix, "output", 4, prompt, extra_pnginfo)


@family.node(
    "PreviewImage",
    "nodes",
    "image",
    {"images": IMAGE},
    title="Preview Image",
    hidden=SAVE_METADATA,
    output_node=True,
)
def preview_image(images: Image, prompt: Prompt | None = None, extra_pnginfo: Prompt | None = None) -> Ui:
    """One PNG per item in the temp folder."""
    return _save(images, temp_prefix(), "temp", 1, prompt, extra_pnginfo)


@family.node(
    "MaskPreview",
    "comfy_extras.nodes_mask",
    "mask",
    {"mask": MASK},
    hidden=SAVE_METADATA,
    output_node=True,
)
def preview_mask(mask: Mask, prompt: Prompt | None = None, extra_pnginfo: Prompt | None = None) -> Ui:
    """A mask as gray pictures in the temp folder."""
    masks = as_masks(mask)
    gray = np.broadcast_to(masks[..., np.newaxis], check_room((*masks.shape, 3)))
    return _save(gray, temp_prefix(), "temp", 4, prompt, extra_pnginfo)


@family.node(
    "EmptyImage",
    "nodes",
    "image",
    {
        "width": integer(512, 1, MAX_SIDE, 1),
        "height": integer(512, 1, MAX_SIDE, 1),
        "batch_size": integer(1, 1, 4096),
        "color": integer(0, 0, 0xFFFFFF, 1, display="color"),
    },
    ("IMAGE",),
)
def empty_image(width: int, height: int, batch_size: int = 1, color: int = 0) -> Image:
    """One colour 0xRRGGBB everywhere."""
    shape = check_room((batch_size, height, width, 3))
    rgb = np.array([color >> 16 & 255, color >> 8 & 255, color & 255], np.float32) / np.float32(255)
    return np.broadcast_to(rgb, shape).copy()


def png_texts(prompt: Prompt | None, extra_pnginfo: Prompt | None) -> dict[str, str]:
    """The text chunks of a saved picture: prompt, each extra_pnginfo key, and a mark if a simulated node made it."""
    context = current()
    if context.settings.disable_metadata:
        return {}
    texts = {} if prompt is None else {"prompt": json.dumps(prompt)}
    texts |= {key: json.dumps(value) for key, value in (extra_pnginfo or {}).items()}
    return texts | _simulated(prompt or {}, context.node_id)


def _simulated(prompt: Prompt, node_id: str) -> dict[str, str]:
    from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS  # the whole table, which this family is a part of

    return {MARK: "true"} if marks(prompt, NODE_CLASS_MAPPINGS, node_id) else {}


def marked(ui: Ui, prompt: Prompt | None) -> Ui:
    """The UI of saved files, with the mark of simulated results where it is due."""
    return ui | {MARK: [True]} if _simulated(prompt or {}, current().node_id) else ui


def temp_prefix() -> str:
    """The file name prefix of the running node's previews: stable, so that the counter tells them apart."""
    digest = sha256(current().node_id.encode()).digest()
    letters = "".join(TEMP_LETTERS[byte % len(TEMP_LETTERS)] for byte in digest[:5])
    return f"ComfyUI_temp_{letters}"


def _save(images: Image, prefix: str, kind: str, level: int, prompt: Prompt | None, extra_pnginfo: Prompt | None) -> Ui:
    if images.ndim != 4:
        raise ValueError(f"A picture needs four axes (batch, height, width, channels); this one has {images.ndim}.")
    check_room(images.shape[1:])
    context = current()
    target = context.folders.next_output(prefix, kind, images.shape[2], images.shape[1])
    texts = png_texts(prompt, extra_pnginfo)
    saved = []
    for index, picture in enumerate(images):
        context.check_interrupted()
        name = target.name(index, "png")
        save_png(target.folder / name, picture, texts, level)
        saved.append({"filename": name, "subfolder": target.subfolder, "type": kind})
    return marked({"images": saved}, prompt)


@family.node(
    "ImageCompare",
    "comfy_extras.nodes_image_compare",
    "image",
    {"compare_view": ("IMAGECOMPARE", {"socketless": True})},
    title="Image Compare",
    optional={"image_a": IMAGE, "image_b": IMAGE},
    v3=True,
    experimental=True,
    output_node=True,
)
def compare_images(image_a: Image | None = None, image_b: Image | None = None, compare_view: object = None) -> Ui:
    """Both pictures in the temp folder, for the front end to lay over each other."""
    prefix = temp_prefix()
    return {
        f"{side}_images": [] if images is None else _save(images, f"{prefix}_{side}", "temp", 1, None, None)["images"]
        for side, images in (("a", image_a), ("b", image_b))
    }
