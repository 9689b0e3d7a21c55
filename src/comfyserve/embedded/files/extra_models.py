"""`extra_model_paths.yaml`: where more models and packs lie, in the form that ComfyUI reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from comfyserve.embedded.files.model_folders import ModelFolders

FILE_NAME: Final = "extra_model_paths.yaml"
BASE, FIRST = "base_path", "is_default"
"""The two keys of a section that are no kind of model."""


def add_extra_folders(table: ModelFolders, file: Path) -> None:
    """Extend the table by what a file says. ValueError that names the file when it cannot be read."""
    for section in _sections(file):
        first = bool(section.get(FIRST, False))
        for kind, path in _entries(section, file.resolve().parent):
            table.extend(kind, path, first=first)


def _sections(file: Path) -> Iterator[Mapping[str, Any]]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} must have sections, each with model folders")
    for name, section in content.items():
        if section is None:
            continue
        if not isinstance(section, dict):
            raise ValueError(f"{file}: the section {name!r} must have model folders, as in `loras: path`")
        yield section


def _entries(section: Mapping[str, Any], here: Path) -> Iterator[tuple[str, str]]:
    """Kind and path of each line; relative paths count from the section's base_path, or from the file."""
    base = here / os.path.expandvars(str(section.get(BASE, "")))
    for kind, lines in section.items():
        if kind not in (BASE, FIRST):
            yield from (
                (str(kind), os.path.normpath(base.expanduser() / line)) for line in str(lines).split("\n") if line
            )
