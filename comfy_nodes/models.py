"""The External inputs that are model files: a name of the engine's own list, or a URL that is downloaded once."""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from . import _host, _sources
from ._download import Bounds, download_to
from ._nodes import node

MODEL_ENDINGS = frozenset({".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl"})
USUAL_ENDING = ".safetensors"
FACES = "reactor/faces"
ASSET = "asset:"
"""How comfyserve names a file that was uploaded to it."""


def _check_lora(default_lora_name: str = "", lora_url: str = "") -> bool | str:
    return _check_default("loras", default_lora_name, lora_url, "lora_url")


def _check_checkpoint(input_id: str = "", default_value: str = "") -> bool | str:
    url = next((text for text in (default_value, input_id) if text and _sources.is_web(text)), "")
    return _check_default("checkpoints", default_value, url, "default_value")


@node("ComfyUIDeployExternalLora", VALIDATE_INPUTS=staticmethod(_check_lora))
def lora(
    input_id: str,
    default_lora_name: str = "",
    lora_save_name: str = "",
    lora_url: str = "",
    bearer_token: str = "",
    **_: Any,
) -> tuple[str]:
    """The name of a LoRA file."""
    return (_model("loras", input_id, lora_url, default_lora_name, lora_save_name, bearer_token),)


@node("ComfyUIDeployExternalCheckpoint", VALIDATE_INPUTS=staticmethod(_check_checkpoint))
def checkpoint(input_id: str, default_value: str = "", **_: Any) -> tuple[str]:
    """The name of a checkpoint file."""
    source = default_value if _sources.is_web(default_value or "") or not _sources.is_web(input_id) else input_id
    return (_model("checkpoints", input_id, source, default_value),)


@node("ComfyUIDeployExternalFaceModel")
def face_model(
    input_id: str,
    default_face_model_name: str = "",
    face_model_save_name: str = "",
    face_model_url: str = "",
    **_: Any,
) -> tuple[str]:
    """The name of a face model file."""
    return (_model(FACES, input_id, face_model_url, default_face_model_name, face_model_save_name),)


def _model(folder: str, input_id: str, source: str, default: str, save_name: str = "", token: str = "") -> str:
    """The name of the model that the engine's list has, after a download if need be."""
    source = (source or "").strip()
    if _sources.is_web(source):
        return _downloaded(folder, source, (save_name or "").strip(), (token or "").strip())
    if source.startswith(ASSET):
        raise ValueError(f"An uploaded file cannot be a model yet: put it into models/{folder} and give its name.")
    name = source or (default or "").strip()
    if not name:
        raise ValueError(f"The input {input_id[:200]!r} has no value and no default: give it a model.")
    if not _is_there(folder, name):
        raise ValueError(_missing(folder, name))
    return name


def _downloaded(folder: str, url: str, save_name: str, token: str) -> str:
    name = _file_name(url, save_name)
    if _is_there(folder, name):
        return name
    engine = _host.engine()
    if not engine.may_fetch:
        raise ValueError(
            f"The model {_sources.shown(url)} is not downloaded by this engine: put the file into models/{folder} "
            "and give its name."
        )
    root = engine.model_folders(folder)[0]
    path = root / name
    if not _host.is_inside(root, path):
        raise ValueError(f"{name[:200]!r} leaves the folder models/{folder}; use a name inside it.")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    download_to(path, url, Bounds.of("MODEL"), headers)
    return name


def _file_name(url: str, save_name: str) -> str:
    """The name asked for, else one made of the URL, so that the same URL is downloaded once."""
    if not save_name:
        ending = _sources.ending_of(url, USUAL_ENDING)
        stem = PurePosixPath(url.partition("?")[0]).stem[:60] or "model"
        kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in stem)
        digest = hashlib.sha256(url.encode()).hexdigest()[:12]
        return f"{kept}-{digest}{ending if ending in MODEL_ENDINGS else USUAL_ENDING}"
    name = save_name.replace("\\", "/")
    if PurePosixPath(name).suffix.lower() not in MODEL_ENDINGS:
        name += USUAL_ENDING
    if name.startswith(("/", ".")) or ".." in name.split("/") or "\0" in name or ":" in name:
        raise ValueError(f"{save_name[:200]!r} leaves its folder; use a name inside it.")
    return name


def _is_there(folder: str, name: str) -> bool:
    """Whether the engine lists the model, or has the file although it does not know the folder."""
    engine = _host.engine()
    if name in engine.model_names(folder):
        return True
    return any(_host.is_file(path) for path in _inside(engine.model_folders(folder), name))


def _inside(folders: list[Path], name: str) -> Iterator[Path]:
    yield from (folder / name for folder in folders if "\0" not in name and _host.is_inside(folder, folder / name))


def _check_default(folder: str, default: str | None, source: str | None, field: str) -> bool | str:
    """What ComfyUI asks before the run: the default must be there only if it is what the run uses."""
    if not default or (source or "").strip() or _is_there(folder, default):
        return True
    return f"{_missing(folder, default)} Or give a URL in {field}."


def _missing(folder: str, name: str) -> str:
    return f"There is no {name[:200]!r} in models/{folder}: put it there, or choose another."
