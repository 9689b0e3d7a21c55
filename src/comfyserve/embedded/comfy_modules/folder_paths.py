"""Where files lie: the engine's folders as text, and the table of model folders that packs extend."""

# Paths are text here, as packs expect.
# ruff: noqa: PTH110, PTH118, PTH122, PTH204
from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

from comfyserve.core.media import type_of
from comfyserve.embedded.files.folders import output_name
from comfyserve.embedded.packs.host import engine
from comfyserve.protocol.files import MODEL_EXTENSIONS, MODEL_FOLDER_ALIASES, split_annotation

_folders = engine().folders

base_path: Final = str(_folders.base)
models_dir: Final = str(_folders.models)
__file__ = str(_folders.base / "folder_paths.py")
"""Packs take its folder for ComfyUI's own; here that is the engine's base directory."""

supported_pt_extensions: set[str] = set(MODEL_EXTENSIONS)
output_directory = str(_folders.output)
input_directory = str(_folders.input)
temp_directory = str(_folders.temp)
user_directory = str(_folders.user)
extension_mimetypes_cache: dict[str, str] = {"webp": "image", "fbx": "model"}
filename_list_cache: dict[str, tuple[list[str], dict[str, float], float]] = {}

folder_names_and_paths = _folders.model_folders
"""Kind -> (paths, endings): the engine's own table."""


def map_legacy(folder_name: str) -> str:
    """The present name of a model folder: `unet` is diffusion_models, `clip` text_encoders."""
    return MODEL_FOLDER_ALIASES.get(folder_name, folder_name)


def set_output_directory(output_dir: str) -> None:
    """Kept for packs that read it back; the engine goes on saving to its own folder."""
    global output_directory  # the module itself is the record, as packs expect
    output_directory = output_dir


def set_temp_directory(temp_dir: str) -> None:
    """As set_output_directory."""
    global temp_directory  # as above
    temp_directory = temp_dir


def set_input_directory(input_dir: str) -> None:
    """As set_output_directory."""
    global input_directory  # as above
    input_directory = input_dir


def set_user_directory(user_dir: str) -> None:
    """As set_output_directory."""
    global user_directory  # as above
    user_directory = user_dir


def get_output_directory() -> str:
    return output_directory


def get_temp_directory() -> str:
    return temp_directory


def get_input_directory() -> str:
    return input_directory


def get_user_directory() -> str:
    return user_directory


def get_system_user_directory(name: str = "system") -> str:
    """A folder of the user directory that no user can reach over HTTP."""
    return os.path.join(user_directory, f"__{name}")


def get_public_user_directory(user_id: str) -> str | None:
    """The folder of one user; None for the names of system folders."""
    return None if user_id.startswith("__") else os.path.join(user_directory, user_id)


def get_directory_by_type(type_name: str) -> str | None:
    """The folder behind `output`, `temp` or `input`; None for another word."""
    return {"output": output_directory, "temp": temp_directory, "input": input_directory}.get(type_name)


def get_directory(type_name: str) -> str | None:
    """As get_directory_by_type."""
    return get_directory_by_type(type_name)


def filter_files_content_types(files: list[str], content_types: Collection[str]) -> list[str]:
    """The files whose kind (image, video, audio, model) is one of these, by their ending."""
    return [name for name in files if _content_type(name) in content_types]


def _content_type(name: str) -> str:
    known = extension_mimetypes_cache.get(name.rpartition(".")[2])
    return known or (type_of(name) or "").partition("/")[0]


def filter_files_extensions(files: Collection[str], extensions: Collection[str]) -> list[str]:
    """The files with one of these endings, sorted; no endings means all."""
    return sorted(name for name in files if not extensions or os.path.splitext(name)[1].lower() in extensions)


def annotated_filepath(name: str) -> tuple[str, str | None]:
    """'x.png [output]' -> ('x.png', the output folder); the folder is None without annotation."""
    plain, kind = split_annotation(name, "")
    return plain, get_directory_by_type(kind)


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    """The path of an annotated name; without annotation in default_dir or the input folder."""
    plain, folder = annotated_filepath(name)
    return os.path.join(folder or default_dir or input_directory, plain)


def exists_annotated_filepath(name: str) -> bool:
    return os.path.exists(get_annotated_filepath(name))


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    """Look for models of a kind in one more folder, first of all if is_default."""
    folder_names_and_paths.extend(folder_name, full_folder_path, first=is_default)


def get_folder_paths(folder_name: str) -> list[str]:
    """The folders of a kind; KeyError when it is unknown."""
    return list(folder_names_and_paths[folder_name][0])


def recursive_search(
    directory: str, excluded_dir_names: Sequence[str] | None = None
) -> tuple[list[str], dict[str, float]]:
    """Relative paths of all files below a folder, and the modification times of its folders."""
    files: list[str] = []
    times: dict[str, float] = {}
    for folder, subfolders, names in os.walk(directory, followlinks=True):
        subfolders[:] = [name for name in subfolders if name not in (excluded_dir_names or ())]
        times[folder] = os.path.getmtime(folder)
        files += [os.path.relpath(os.path.join(folder, name), directory) for name in names]
    return files, times


def get_filename_list(folder_name: str) -> list[str]:
    """Sorted relative names of the model files of a kind, as its loader offers them. KeyError for an unknown kind."""
    if folder_name not in folder_names_and_paths:
        raise KeyError(folder_name)
    return engine().folders.model_files(folder_name)


def get_filename_list_(folder_name: str) -> tuple[list[str], dict[str, float], float]:
    """As get_filename_list, with two values that served ComfyUI's cache."""
    return get_filename_list(folder_name), {}, 0.0


def cached_filename_list_(folder_name: str) -> None:
    """Nothing is cached: lists are read anew."""


def get_full_path(folder_name: str, filename: str) -> str | None:
    """The path of a model file, None when there is none; the name cannot leave the folder."""
    path = engine().folders.model_path(folder_name, filename)
    return None if path is None else str(path)


def get_full_path_or_raise(folder_name: str, filename: str) -> str:
    """As get_full_path; FileNotFoundError when there is none."""
    path = get_full_path(folder_name, filename)
    if path is None:
        raise FileNotFoundError(f"There is no model file {filename!r} in the folder {folder_name!r}.")
    return path


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """(folder, file stem, first free counter, subfolder, prefix with its variables filled in)."""
    target = output_name(Path(output_dir), filename_prefix, image_width, image_height)
    prefix = os.path.join(target.subfolder, target.stem)
    return str(target.folder), target.stem, target.counter, target.subfolder, prefix


def get_input_subfolders() -> list[str]:
    """Relative paths of the folders below the input folder, sorted."""
    found = (os.path.relpath(folder, input_directory) for folder, _, _ in os.walk(input_directory))
    return sorted(name.replace(os.sep, "/") for name in found if name != ".")


class CacheHelper:
    """A context in which ComfyUI caches file lists; here they are always fresh."""

    active = False

    def __enter__(self) -> CacheHelper:
        self.active = True
        return self

    def __exit__(self, *error: object) -> None:
        self.active = False

    def get(self, key: str, default: Any = None) -> Any:
        return default

    def set(self, key: str, value: Any) -> None:
        """Nothing is kept."""

    def clear(self) -> None:
        """Nothing is kept."""


cache_helper = CacheHelper()
