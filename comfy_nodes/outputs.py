"""The output nodes: they save files under an id that API callers can tell apart."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from . import _host
from ._nodes import node

PNG_COMPRESSION = 4
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


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
    folder, subfolder, name = _host.output_names(filename_prefix, batch.shape[2], batch.shape[1])
    saved = []
    for index, samples in enumerate(batch):
        filename = name(index, file_type)
        _save(folder / filename, _picture(samples), file_type, quality, _texts(prompt, extra_pnginfo))
        saved.append({"filename": filename, "subfolder": subfolder, "type": "output", "output_id": output_id})
    return {"ui": {"images": saved}}


@node("ComfyDeployOutputText")
def save_text(
    text: str, filename_prefix: str = "ComfyUI", file_type: str = "txt", output_id: str = "output_text", **_: Any
) -> dict[str, Any]:
    """Save a text; JSON is indented when it is valid."""
    folder, subfolder, name = _host.output_names(filename_prefix)
    filename = name(0, file_type)
    (folder / filename).write_text(_indented(text) if file_type == "json" else text, encoding="utf-8")
    item = {"filename": filename, "subfolder": subfolder, "type": "output", "output_id": output_id}
    return {"ui": {"text_file": [item]}}


def _picture(samples: np.ndarray) -> Image.Image:
    channels = samples.shape[-1]
    if channels not in MODES:
        raise ValueError(f"A picture with {channels} channels cannot be saved: it needs 1, 3 or 4.")
    # ComfyUI truncates and does not round; so does this.
    levels = np.clip(samples * np.float32(255), 0, 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if channels == 1 else levels)


def _save(path: Path, picture: Image.Image, file_type: str, quality: int, texts: dict[str, str]) -> None:
    if file_type == "png":
        info = PngInfo()
        for key, value in texts.items():
            info.add_text(key, value)
        picture.save(path, "PNG", pnginfo=info, compress_level=PNG_COMPRESSION)
    elif file_type == "jpg":
        picture.convert("RGB").save(path, "JPEG", quality=quality, optimize=True)
    else:
        picture.save(path, "WEBP", quality=quality)


def _texts(prompt: Any, extra_pnginfo: Any) -> dict[str, str]:
    if not _host.metadata_wanted():
        return {}
    parts = {"prompt": prompt} if prompt is not None else {}
    return {key: json.dumps(value) for key, value in (parts | dict(extra_pnginfo or {})).items()}


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
