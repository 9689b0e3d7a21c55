"""Pictures of a folder as one batch (catalogue of the protocol spec: Batches and lists)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image as Pillow

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders, inside
from comfyserve.embedded.nodes.declare import Family, choice, listing
from comfyserve.embedded.pixels.arrays import Image, check_room, from_bytes
from comfyserve.embedded.pixels.codec import load_rgb

family = Family()

Size = tuple[int, int]

PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")


def _stretched(picture: Pillow.Image, size: Size) -> Pillow.Image:
    return picture.resize(size, Pillow.Resampling.LANCZOS)


# "Pad" stretches, as it does in the original.
FITS: Final[dict[str, Callable[[Pillow.Image, Size], Pillow.Image]]] = {
    "Stretch": _stretched,
    "Crop": lambda picture, size: picture.crop((0, 0, *size)),
    "Pad": _stretched,
}


def _subfolders(folders: Folders) -> list[str]:
    root = folders.input
    return sorted(
        (Path(path) / name).relative_to(root).as_posix() for path, names, _ in os.walk(root) for name in names
    )


@family.node(
    "LoadImageSetFromFolderNode",
    "comfy_extras.nodes_train",
    "loaders",
    {"folder": listing(_subfolders)},
    ("IMAGE",),
    title="Load Image Dataset from Folder",
    optional={"resize_method": choice("None", *FITS, default="None")},
    experimental=True,
)
def load_folder(folder: str, resize_method: str = "None") -> Image:
    """The pictures of a folder inside the input folder, by name; the first one gives the size. ValueError if none."""
    context = current()
    root = inside(context.folders.input, folder)
    files = sorted(file for file in root.iterdir() if file.name.lower().endswith(PICTURES))
    if not files:
        raise ValueError(f"There is no picture in {folder!r}. Put PNG, JPEG or WEBP files there.")
    pictures: list[Image] = []
    size: Size | None = None
    for file in files:
        context.check_interrupted()
        picture = load_rgb(file)
        size = size or picture.size
        check_room((len(files), size[1], size[0], 3))
        pictures.append(from_bytes(np.asarray(_fitted(picture, size, resize_method))))
    return np.stack(pictures)


def _fitted(picture: Pillow.Image, size: Size, method: str) -> Pillow.Image:
    if picture.size == size:
        return picture
    if method not in FITS:
        raise ValueError(
            f"A picture is {picture.size}, the first one {size}. Choose a resize_method: {', '.join(FITS)}."
        )
    return FITS[method](picture, size)
