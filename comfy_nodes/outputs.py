"""The output nodes: they save files under an id that API callers can tell apart."""

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from . import _exr, _host
from ._nodes import node

PNG_COMPRESSION = 4
MODES = {1: "L", 3: "RGB", 4: "RGBA"}

UI_KEYS = {
    "images": frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tiff", ".exr", ".hdr"}),
    "audio": frozenset({".mp3", ".wav", ".flac", ".aac", ".ogg"}),
    "text_file": frozenset({".txt", ".json", ".md", ".csv"}),
}
"""Under which key a file is told, by its ending; any other under `files`."""

OPEN_FOLDERS = ("output", "temp", "input")


@node("ComfyDeployOutputImage")
def save_image(
    images: Any,
    filename_prefix: str = "ComfyUI",
    file_type: str = "webp",
    quality: int = 80,
    output_id: str = "output_images",
    prompt: Any = None,
    extra_pnginfo: Any = None,
    **_: Any,
) -> dict[str, Any]:
    """Save pictures as PNG, JPEG or WebP."""
    batch = _host.to_numpy(images)
    folder, subfolder, name = _host.engine().output_names(filename_prefix, batch.shape[2], batch.shape[1])
    saved = []
    for index, samples in enumerate(batch):
        filename = name(index, file_type)
        save_picture(folder / filename, samples, file_type, quality, _texts(prompt, extra_pnginfo))
        saved.append(_item(filename, subfolder, output_id))
    return {"ui": {"images": saved}}


@node("ComfyDeployOutputText")
def save_text(
    text: str, filename_prefix: str = "ComfyUI", file_type: str = "txt", output_id: str = "output_text", **_: Any
) -> dict[str, Any]:
    """Save a text; JSON is indented when it is valid."""
    folder, subfolder, name = _host.engine().output_names(filename_prefix, 0, 0)
    filename = name(0, file_type)
    (folder / filename).write_text(_indented(text) if file_type == "json" else text, encoding="utf-8")
    return {"ui": {"text_file": [_item(filename, subfolder, output_id)]}}


@node("ComfyDeployOutputEXR")
def save_exr(
    images: Any, filename_prefix: str = "ComfyDeploy_EXR", output_id: str = "output_exr", **_: Any
) -> dict[str, Any]:
    """Save pictures as EXR with 32-bit floats, values beyond 0 and 1 included."""
    batch = _host.to_numpy(images)
    folder, subfolder, name = _host.engine().output_names(filename_prefix, batch.shape[2], batch.shape[1])
    saved = []
    for index, samples in enumerate(batch):
        filename = name(index, "exr")
        (folder / filename).write_bytes(_exr.write(samples))
        saved.append(_item(filename, subfolder, output_id))
    return {"ui": {"images": saved}}


@node("ComfyDeployOutputFile")
def save_file(file_path: str, output_id: str = "output_file", **_: Any) -> dict[str, Any]:
    """Give a file that another node wrote to the caller."""
    path = _allowed(str(file_path).strip())
    output = _host.engine().folder("output")
    if not _host.is_inside(output, path):
        path = _copied(path, output)
    inside = Path(os.path.realpath(path)).relative_to(os.path.realpath(output))
    subfolder = "" if inside.parent == Path() else inside.parent.as_posix()
    ending = inside.suffix.lower()
    key = next((key for key, endings in UI_KEYS.items() if ending in endings), "files")
    return {"ui": {key: [_item(inside.name, subfolder, output_id)]}}


def save_picture(
    path: Path | BinaryIO, samples: np.ndarray, file_type: str, quality: int, texts: dict[str, str]
) -> None:
    """Write one picture [H,W,C] as png, jpg or webp."""
    picture = _picture(samples)
    if file_type == "png":
        info = PngInfo()
        for key, value in texts.items():
            info.add_text(key, value)
        picture.save(path, "PNG", pnginfo=info, compress_level=PNG_COMPRESSION)
    elif file_type == "jpg":
        picture.convert("RGB").save(path, "JPEG", quality=quality, optimize=True)
    else:
        picture.save(path, "WEBP", quality=quality)


def _item(filename: str, subfolder: str, output_id: str) -> dict[str, str]:
    return {"filename": filename, "subfolder": subfolder, "type": "output", "output_id": output_id}


def _picture(samples: np.ndarray) -> Image.Image:
    channels = samples.shape[-1]
    if channels not in MODES:
        raise ValueError(f"A picture with {channels} channels cannot be saved: it needs 1, 3 or 4.")
    _host.check_room(samples.shape)
    # ComfyUI truncates and does not round; so does this.
    levels = np.clip(samples * np.float32(255), 0, 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if channels == 1 else levels)


def _allowed(name: str) -> Path:
    """The file, when there is one and it lies where outputs may come from. Raises ValueError."""
    engine = _host.engine()
    if not name or "\0" in name:
        raise ValueError("There is no file to give: file_path is empty or no path.")
    path = Path(name)
    if not path.is_absolute():
        path = engine.folder("output") / name
    roots = [engine.folder(kind) for kind in OPEN_FOLDERS]
    if not any(_host.is_inside(root, path) for root in [*roots, *engine.shared_folders()]):
        raise ValueError("The file lies outside of the engine's folders: write it to the output or the temp folder.")
    if not _host.is_file(path):
        raise ValueError(f"There is no file {path.name[:200]!r}: the node before this one has not written it.")
    return path


def _copied(path: Path, output: Path) -> Path:
    target = output / "temp" / f"{uuid.uuid4().hex}{path.suffix.lower()}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return target


def _texts(prompt: Any, extra_pnginfo: Any) -> dict[str, str]:
    if not _host.engine().metadata_wanted():
        return {}
    parts = {"prompt": prompt} if prompt is not None else {}
    return {key: json.dumps(value) for key, value in (parts | dict(extra_pnginfo or {})).items()}


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
