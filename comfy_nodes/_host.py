"""What the nodes need of the engine around them: ComfyUI with torch tensors, or comfyserve's embedded engine."""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CONTEXT_MODULE = "comfyserve.embedded.context"


def input_file(name: str) -> Path | None:
    """The file of that name in the input folder ('x.png', 'sub/x.png', 'x.png [output]'), None when there is none.

    Raises ValueError for a name that leaves its folder.
    """
    context = _embedded()
    if context is not None:
        path = Path(context.folders.annotated_path(name))
    else:
        path = _inside(Path(_folder_paths().get_annotated_filepath(name)))
    return path if path.is_file() else None


def output_names(prefix: str, width: int = 0, height: int = 0) -> tuple[Path, str, Callable[[int, str], str]]:
    """The folder, the subfolder and a function (index, ending) -> file name for the next files to save."""
    context = _embedded()
    if context is not None:
        names = context.folders.next_output(prefix, "output", width, height)
        return names.folder, names.subfolder, names.name
    paths = _folder_paths()
    folder, stem, counter, subfolder, _ = paths.get_save_image_path(prefix, paths.get_output_directory(), width, height)

    def name(index: int, ending: str) -> str:
        return f"{stem.replace('%batch_num%', str(index))}_{counter + index:05}_.{ending}"

    return Path(folder), subfolder, name


def may_fetch() -> bool:
    """Whether a node may open a URL itself; beside comfyserve's worker, which fetches before the run, it may not."""
    return _embedded() is None


def metadata_wanted() -> bool:
    """Whether saved pictures carry the prompt."""
    context = _embedded()
    if context is not None:
        return not context.settings.disable_metadata
    arguments = sys.modules.get("comfy.cli_args")
    return arguments is None or not arguments.args.disable_metadata


def to_engine(samples: np.ndarray) -> Any:
    """A float32 array as the engine passes pictures on."""
    torch = None if _embedded() is not None else sys.modules.get("torch")
    return samples if torch is None else torch.from_numpy(samples)


def to_numpy(value: Any) -> np.ndarray:
    """A picture of the engine as a float32 array on the CPU."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float32)


def _embedded() -> Any:
    """The context of the node call in progress in the embedded engine, or None elsewhere."""
    module = sys.modules.get(CONTEXT_MODULE)
    if module is None:
        return None
    try:
        return module.current()
    except LookupError:
        return None


def _folder_paths() -> Any:
    try:
        return importlib.import_module("folder_paths")
    except ImportError:
        raise ValueError("This node reads and writes files only inside a ComfyUI or comfyserve's engine.") from None


def _inside(path: Path) -> Path:
    """ComfyUI joins names without looking, so look here."""
    paths = _folder_paths()
    real = os.path.realpath(path)
    for root in (paths.get_input_directory(), paths.get_output_directory(), paths.get_temp_directory()):
        if os.path.commonpath((os.path.realpath(root), real)) == os.path.realpath(root):
            return Path(real)
    raise ValueError(f"{path.name!r} leaves ComfyUI's folders; use a name inside the input folder.")
