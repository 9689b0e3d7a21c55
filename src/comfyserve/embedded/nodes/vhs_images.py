"""VHS_LoadImages and its path variant: the pictures of a folder as one batch (ComfyUI-VideoHelperSuite)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageOps

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.media.frames import FrameStore
from comfyserve.embedded.nodes.declare import Family, listing
from comfyserve.embedded.nodes.vhs_shared import (
    CATEGORY,
    MARK,
    META_BATCH,
    MODULE,
    local_path,
    path_problem,
    refuse_unsupported,
    selection,
    stamp,
    uploaded_path,
)
from comfyserve.embedded.pixels.arrays import Bytes, Image, Mask, from_bytes, to_bytes
from comfyserve.embedded.pixels.codec import EMPTY_MASK, opened
from comfyserve.embedded.pixels.resample import upscale

family = Family()

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# A folder that the editor keeps its own pictures in.
CLIPBOARD = "clipspace"
EXIF_ORIENTATION = 0x0112
# Orientations that swap width and height.
LYING = (5, 6, 7, 8)
OPTIONAL = {**selection("image_load_cap", "skip_first_images"), "meta_batch": META_BATCH}
HIDDEN = {"unique_id": "UNIQUE_ID"}
OUTPUTS = ("IMAGE", "MASK", "INT")
NAMES = ("IMAGE", "MASK", "frame_count")

Loaded = tuple[Image, Mask, int]


def _subfolders(folders: Folders) -> list[str]:
    if not folders.input.is_dir():
        return []
    with os.scandir(folders.input) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and entry.name != CLIPBOARD)


def _folder_exists(directory: str) -> bool | str:
    try:
        found = uploaded_path(directory).is_dir()
    except ValueError:
        found = False
    return found or f"The input folder has no folder {directory!r}"


def _path_exists(directory: str | None) -> bool | str:
    return path_problem(directory, "There is no such folder", folder=True)


def _published(
    name: str, title: str, directories: Any, find: Callable[[str], Path], exists: Callable[[str], bool | str]
) -> Callable[..., Loaded]:
    """One of the two nodes: they differ in how a folder is named and found."""

    def digest(directory: str, **widgets: int) -> str:
        return sha256("\n".join(map(stamp, _chosen(find(directory), **widgets))).encode()).hexdigest()

    @family.node(
        name,
        MODULE,
        CATEGORY,
        {"directory": directories},
        OUTPUTS,
        title=title + MARK,
        optional=OPTIONAL,
        hidden=HIDDEN,
        names=NAMES,
        validate=exists,
        fingerprint=digest,
    )
    def load(directory: str, meta_batch: object = None, **widgets: int) -> Loaded:
        """The chosen pictures of a folder, by name, their masks and their number.

        A path leads into the engine's folders, or to where the operator allows it.
        """
        refuse_unsupported(meta_batch=meta_batch)
        return _load(find(directory), **widgets)

    return load


load_images = _published("VHS_LoadImages", "Load Images (Upload)", listing(_subfolders), uploaded_path, _folder_exists)
load_images_path = _published(
    "VHS_LoadImagesPath",
    "Load Images (Path)",
    ("STRING", {"placeholder": "input/pictures", "vhs_path_extensions": []}),
    local_path,
    _path_exists,
)


def _chosen(
    folder: Path,
    image_load_cap: int = 0,
    skip_first_images: int = 0,
    select_every_nth: int = 1,
    **_: object,
) -> list[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file() and entry.name.lower().endswith(ENDINGS))
    kept = names[skip_first_images::select_every_nth]
    return [folder / name for name in (kept[:image_load_cap] if image_load_cap else kept)]


def _load(folder: Path, **widgets: int) -> Loaded:
    paths = _chosen(folder, **widgets)
    if not paths:
        raise ValueError(f"No pictures in the folder {folder.name}. Put some there, or skip fewer.")
    (width, height), mode = _most_common(paths)
    store = FrameStore(folder.name, len(paths))
    store.check_room(width, height, len(paths), len(mode))
    for path in paths:
        store.add(_fitted(path, width, height, mode))
    images = store.image()
    if mode == "RGB":
        return images, np.zeros((len(images), *EMPTY_MASK), np.float32), len(images)
    return images[..., :3], 1 - images[..., 3], len(images)


def _most_common(paths: list[Path]) -> tuple[tuple[int, int], str]:
    """The size that most pictures have, and RGBA when any has an alpha channel; only their heads are read."""
    sizes: Counter[tuple[int, int]] = Counter()
    alpha = False
    for path in paths:
        current().check_interrupted()
        with opened(path) as picture:
            turned = picture.getexif().get(EXIF_ORIENTATION, 1) in LYING
            sizes[picture.size[::-1] if turned else picture.size] += 1
            alpha |= "A" in picture.getbands()
    return sizes.most_common(1)[0][0], "RGBA" if alpha else "RGB"


def _fitted(path: Path, width: int, height: int, mode: str) -> Bytes:
    current().check_interrupted()
    with opened(path) as picture:
        samples = np.asarray(ImageOps.exif_transpose(picture).convert(mode))
    if samples.shape[:2] == (height, width):
        return samples
    return to_bytes(upscale(from_bytes(samples)[np.newaxis], width, height, "lanczos", "center")[0])
