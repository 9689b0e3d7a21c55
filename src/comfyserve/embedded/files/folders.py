"""The base directory of the embedded engine and the rules by which files in it are named and found."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from comfyserve.core.media import type_of
from comfyserve.embedded.files.model_folders import ModelFolders
from comfyserve.protocol.files import (
    MODEL_FOLDER_ALIASES,
    output_file_name,
    split_annotation,
)

MAX_NAME = 2048
MAX_DEPTH = 64
MAX_PART = 255
"""What a name below a folder may have: characters, folders, and bytes in one of them."""
MAX_STEM = MAX_PART - 32
"""Bytes of a prefix's last part: the counter and the ending need the rest."""
SHOWN = 200
"""How much of a bad name an error repeats."""
BATCH_NUMBER = "%batch_num%"
ENDING = re.compile(r"[A-Za-z0-9]{1,16}(\.[A-Za-z0-9]{1,16})?")


@dataclass(frozen=True, slots=True)
class OutputName:
    """Where the next saved files go: `name(0, "png")`, `name(1, "png")`, ... take consecutive counters."""

    folder: Path
    stem: str
    counter: int
    subfolder: str

    def name(self, index: int, ext: str) -> str:
        """The file name of the index-th file of this save; `%batch_num%` in the prefix becomes the index.

        ValueError when that is no plain name of a file in the folder: endings may come from a caller.
        """
        name = output_file_name(self.stem.replace(BATCH_NUMBER, str(index)), self.counter + index, ext)
        if not ENDING.fullmatch(ext.lstrip(".")) or os.sep in name:
            raise ValueError(f"{ext[:SHOWN]!r} is no ending of a file: use letters and digits.")
        return name


class Folders:
    """The folders of one engine: input, output, temp, models, custom_nodes, user."""

    def __init__(self, base: Path, bundled: Mapping[str, Sequence[str]] | None = None) -> None:
        """`bundled` names model files per folder that are listed besides those that exist."""
        self.base = Path(os.path.realpath(base))
        self.bundled = bundled or {}

    @cached_property
    def model_folders(self) -> ModelFolders:
        """Where model files are looked for, by kind; the bundled names may be of kinds that packs add."""
        kinds = ModelFolders(self.models, self.custom_nodes, self.output)
        for kind in self.bundled:
            kinds.extend(kind, str(self.models / kind))
        return kinds

    @cached_property
    def input(self) -> Path:
        return self.base / "input"

    @cached_property
    def output(self) -> Path:
        return self.base / "output"

    @cached_property
    def temp(self) -> Path:
        return self.base / "temp"

    @cached_property
    def models(self) -> Path:
        return self.base / "models"

    @cached_property
    def custom_nodes(self) -> Path:
        return self.base / "custom_nodes"

    @cached_property
    def user(self) -> Path:
        return self.base / "user"

    def of_type(self, kind: str) -> Path:
        """The folder behind `type=input|output|temp`; ValueError for any other word."""
        match kind:
            case "input":
                return self.input
            case "output":
                return self.output
            case "temp":
                return self.temp
            case _:
                raise ValueError(f"unknown folder type {kind!r}: use input, output or temp")

    def create(self) -> None:
        """Make the folders that are absent and empty the temp folder."""
        for folder in (self.input, self.output, self.models, self.custom_nodes):
            folder.mkdir(parents=True, exist_ok=True)
        self.empty_temp()
        self.temp.mkdir(parents=True, exist_ok=True)

    def empty_temp(self) -> None:
        """Remove the temp folder with all that is in it."""
        shutil.rmtree(self.temp, ignore_errors=True)

    def model_files(self, folder: str) -> list[str]:
        """Sorted relative names (with '/') of the model files of a folder and the bundled ones; [] for no folder."""
        bundled = self.bundled.get(MODEL_FOLDER_ALIASES.get(folder, folder), ())
        found = self.model_folders.files(folder) if folder in self.model_folders else ()
        return sorted({*found, *bundled})

    def model_path(self, folder: str, name: str) -> Path | None:
        """The file of a model, or None when it is absent or its name leaves the folder."""
        return self.model_folders.find(folder, name)

    def annotated_path(self, name: str) -> Path:
        """'x.png' (input), 'x.png [output]', 'sub/x.png [temp]' -> path; ValueError when it leaves its folder."""
        plain, kind = split_annotation(name)
        return inside(self.of_type(kind), plain)

    def input_files(self, kinds: tuple[str, ...] = ("image",)) -> list[str]:
        """Sorted names of the files directly in the input folder whose media type is one of the kinds."""
        if not self.input.is_dir():
            return []
        with os.scandir(self.input) as entries:
            return sorted(entry.name for entry in entries if entry.is_file() and _media_kind(entry.name) in kinds)

    def next_output(self, prefix: str, kind: str, width: int = 0, height: int = 0) -> OutputName:
        """Apply the prefix rules of spec 11 and find the next free counter; makes the subfolder.

        kind is "output" or "temp". ValueError when the prefix leaves the folder.
        """
        return output_name(self.of_type(kind), prefix, width, height)


def output_name(root: Path, prefix: str, width: int = 0, height: int = 0) -> OutputName:
    """As Folders.next_output, below any folder."""
    posix = PurePosixPath(os.path.normpath(_fill_in(prefix, width, height)).replace("\\", "/"))
    subfolder = "" if str(posix.parent) == "." else str(posix.parent)
    if not _can_be_part(posix.name, MAX_STEM):
        raise ValueError(f"The filename_prefix {prefix[:SHOWN]!r} cannot be a file name: use a short, plain one.")
    folder = inside(root, subfolder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"The filename_prefix {prefix[:SHOWN]!r} cannot be used: the folder {subfolder[:SHOWN]!r} cannot be made "
            f"({error.strerror})."
        ) from error
    return OutputName(folder, posix.name, _next_counter(folder, posix.name), subfolder)


def inside(root: Path, name: str) -> Path:
    """root/name with links resolved; ValueError when that is not under root or cannot be a path."""
    parts = Path(name).parts
    if len(name) > MAX_NAME or len(parts) > MAX_DEPTH or not all(_can_be_part(part, MAX_PART) for part in parts):
        raise ValueError("this file name cannot be a path")
    path = os.path.realpath(root / name)
    if os.path.commonpath((os.path.realpath(root), path)) != os.path.realpath(root):
        raise ValueError(f"{name!r} leaves its folder; use a name inside it")
    return Path(path)


def file_below(folder: Path, name: str) -> Path | None:
    """The file of a relative name; None when it is absent or leaves the folder."""
    try:
        path = inside(folder, name)
    except ValueError:
        return None
    return path if path.is_file() else None


def _can_be_part(part: str, most_bytes: int) -> bool:
    try:
        return "\0" not in part and len(os.fsencode(part)) <= most_bytes
    except UnicodeEncodeError:
        return False


def _media_kind(name: str) -> str:
    kind = (type_of(name) or "").split("/")[0]
    return "3d" if kind == "model" else kind


def _fill_in(prefix: str, width: int, height: int) -> str:
    if "%" not in prefix:
        return prefix
    now = time.localtime()
    values = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02d}",
        "day": f"{now.tm_mday:02d}",
        "hour": f"{now.tm_hour:02d}",
        "minute": f"{now.tm_min:02d}",
        "second": f"{now.tm_sec:02d}",
    }
    for key, value in values.items():
        prefix = prefix.replace(f"%{key}%", value)
    return prefix


def _next_counter(folder: Path, stem: str) -> int:
    """1 + the largest counter in the folder; it is read each time, since others may add and remove files.

    A name with `%batch_num%` counts whatever its number is. Longer runs of digits are no counters of this engine.
    """
    first, *others = map(re.escape, stem.split(BATCH_NUMBER))
    written = "(?P=batch)".join((rf"{first}(?P<batch>\d{{1,12}}){others[0]}", *others[1:])) if others else first
    counters = re.compile(rf"^{written}_(?P<counter>\d{{1,12}})_", re.ASCII | re.MULTILINE)
    with os.scandir(folder) as entries:
        names = "\n".join([entry.name for entry in entries])
    return 1 + max((int(found["counter"]) for found in counters.finditer(names)), default=0)
