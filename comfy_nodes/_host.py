"""The engine around the nodes: a ComfyUI with torch tensors, or comfyserve's embedded engine with NumPy arrays."""

import importlib
import math
import os
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from . import _settings

CONTEXT_MODULE = "comfyserve.embedded.context"
OWN_FOLDER = "comfyserve"
FLOAT_BYTES = 4
BATCH_NUMBER = "%batch_num%"
ENDING = re.compile(r"[A-Za-z0-9]{1,16}")

NameOf = Callable[[int, str], str]


class Engine(Protocol):
    """What the nodes need of either engine."""

    @property
    def may_fetch(self) -> bool:
        """Whether a node may open URLs; beside the worker of comfyserve, which fetches before the run, it may not."""

    @property
    def batch_bytes(self) -> int:
        """The most memory that one decoded picture, batch or video may take."""

    @property
    def batch_setting(self) -> str:
        """Where the operator sets that."""

    def folder(self, kind: str) -> Path:
        """The folder `input`, `output` or `temp`."""

    def annotated(self, name: str) -> Path:
        """The path of 'x.png', 'sub/x.png' or 'x.png [output]'. Raises ValueError when it leaves its folder."""

    def output_names(self, prefix: str, width: int, height: int) -> tuple[Path, str, NameOf]:
        """The folder, the subfolder and a function (index, ending) -> file name for the next files to save."""

    def model_folders(self, folder: str) -> list[Path]:
        """Where the models of that kind lie; the first one takes new ones."""

    def model_names(self, folder: str) -> list[str]:
        """The model files of that kind, as the engine lists them."""

    def shared_folders(self) -> list[Path]:
        """Folders besides input, output and temp whose files may be given to callers."""

    def metadata_wanted(self) -> bool:
        """Whether saved pictures carry the prompt."""

    def array(self, samples: np.ndarray) -> Any:
        """A float32 array as this engine passes it on."""

    def check_stopped(self) -> None:
        """Raise the engine's own exception when the run was interrupted."""


def engine() -> Engine:
    """The engine that this code runs in."""
    module = sys.modules.get(CONTEXT_MODULE)
    try:
        return _Embedded(module.current()) if module is not None else _ComfyUI()
    except LookupError:
        return _ComfyUI()


def input_file(name: str) -> Path | None:
    """The file of that name in the input folder ('x.png', 'sub/x.png', 'x.png [output]'), None when there is none.

    Raises ValueError for a name that leaves its folder.
    """
    path = engine().annotated(name)
    return path if is_file(path) else None


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that the file system cannot have is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def input_names(endings: frozenset[str]) -> list[str]:
    """The files directly in the input folder with one of these endings, sorted."""
    folder = engine().folder("input")
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in endings and path.is_file())


def temp_file(ending: str) -> Path:
    """A new path in the temp folder, which ComfyUI empties when it starts."""
    return engine().folder("temp") / OWN_FOLDER / f"{uuid.uuid4().hex}{ending}"


def check_room(shape: Sequence[int]) -> None:
    """Raise ValueError when a float32 array of this shape is more than may be decoded."""
    around = engine()
    size = math.prod(shape) * FLOAT_BYTES
    if size > around.batch_bytes:
        raise ValueError(
            f"Decoded it would take {size} bytes ({' x '.join(map(str, shape))} samples), but at most "
            f"{around.batch_bytes} are allowed. Use less, or raise {around.batch_setting}."
        )


def to_numpy(value: Any) -> np.ndarray:
    """A picture of the engine as a float32 array on the CPU."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float32)


class _Embedded:
    """comfyserve's embedded engine, through the context of the call in progress."""

    may_fetch = False
    batch_setting = "--picture-megabytes of the engine"

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def batch_bytes(self) -> int:
        return int(self._context.settings.picture_bytes)

    def folder(self, kind: str) -> Path:
        return Path(self._context.folders.of_type(kind))

    def annotated(self, name: str) -> Path:
        return Path(self._context.folders.annotated_path(name))

    def output_names(self, prefix: str, width: int, height: int) -> tuple[Path, str, NameOf]:
        names = self._context.folders.next_output(prefix, "output", width, height)
        return names.folder, names.subfolder, names.name

    def model_folders(self, folder: str) -> list[Path]:
        return [Path(self._context.folders.models) / folder]

    def model_names(self, folder: str) -> list[str]:
        return list(self._context.folders.model_files(folder))

    def shared_folders(self) -> list[Path]:
        return []

    def metadata_wanted(self) -> bool:
        return not self._context.settings.disable_metadata

    def array(self, samples: np.ndarray) -> Any:
        return samples

    def check_stopped(self) -> None:
        self._context.check_interrupted()


class _ComfyUI:
    """A real ComfyUI, through its module `folder_paths`."""

    may_fetch = True
    batch_setting = f"{_settings.PREFIX}BATCH_MB"

    @property
    def batch_bytes(self) -> int:
        return _settings.whole("BATCH_MB") * _settings.MB

    def folder(self, kind: str) -> Path:
        paths = _folder_paths()
        ask = {"input": paths.get_input_directory, "output": paths.get_output_directory}
        return Path(ask.get(kind, paths.get_temp_directory)())

    def annotated(self, name: str) -> Path:
        # ComfyUI joins names without looking, so look here.
        path = Path(os.path.realpath(_folder_paths().get_annotated_filepath(name)))
        if not any(is_inside(self.folder(kind), path) for kind in ("input", "output", "temp")):
            raise ValueError(f"{name[:200]!r} leaves ComfyUI's folders; use a name inside the input folder.")
        return path

    def output_names(self, prefix: str, width: int, height: int) -> tuple[Path, str, NameOf]:
        paths = _folder_paths()
        folder, stem, counter, subfolder, _ = paths.get_save_image_path(
            prefix, paths.get_output_directory(), width, height
        )
        if BATCH_NUMBER in stem:
            # ComfyUI counts the files whose names have the placeholder in them, so it would write over others.
            counter = _counter_after(Path(folder), stem)
        return Path(folder), subfolder, partial(_numbered, stem, counter)

    def model_folders(self, folder: str) -> list[Path]:
        paths = _folder_paths()
        known = paths.folder_names_and_paths.get(folder)
        return [Path(path) for path in known[0]] if known else [Path(paths.models_dir) / folder]

    def model_names(self, folder: str) -> list[str]:
        paths = _folder_paths()
        return list(paths.get_filename_list(folder)) if folder in paths.folder_names_and_paths else []

    def shared_folders(self) -> list[Path]:
        return [Path(_folder_paths().models_dir)]

    def metadata_wanted(self) -> bool:
        arguments = sys.modules.get("comfy.cli_args")
        return arguments is None or not arguments.args.disable_metadata

    def array(self, samples: np.ndarray) -> Any:
        torch = sys.modules.get("torch")
        return samples if torch is None else torch.from_numpy(samples)

    def check_stopped(self) -> None:
        management = sys.modules.get("comfy.model_management")
        if management is not None:
            management.throw_exception_if_processing_interrupted()


def is_inside(folder: Path, path: Path) -> bool:
    """Whether a path lies below a folder, links resolved."""
    real = os.path.realpath(folder)
    try:
        return os.path.commonpath((real, os.path.realpath(path))) == real
    except ValueError:
        return False


def _numbered(stem: str, counter: int, index: int, ending: str) -> str:
    """The name of the index-th file. Raises ValueError when the parts make no plain file name."""
    name = f"{stem.replace(BATCH_NUMBER, str(index))}_{counter + index:05}_.{ending}"
    if not ENDING.fullmatch(ending) or any(letter in name for letter in "/\\\0"):
        raise ValueError(f"{name[-200:]!r} is no plain file name: change filename_prefix or file_type.")
    return name


def _counter_after(folder: Path, stem: str) -> int:
    """1 + the largest counter of the files in the folder that a stem with the placeholder was used for."""
    first, second, *others = map(re.escape, stem.split(BATCH_NUMBER))
    written = "(?P=batch)".join((rf"{first}(?P<batch>\d{{1,12}}){second}", *others))
    pattern = re.compile(rf"{written}_(?P<counter>\d{{1,12}})_", re.ASCII)
    found = (pattern.match(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return 1 + max((int(match["counter"]) for match in found if match), default=0)


def _folder_paths() -> Any:
    try:
        return importlib.import_module("folder_paths")
    except ImportError:
        raise ValueError("This node reads and writes files only inside a ComfyUI or comfyserve's engine.") from None
