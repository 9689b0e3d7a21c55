"""Where model files lie: ComfyUI's table of folders by kind, which packs and the operator may extend (spec 5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from comfyserve.protocol.files import (
    MODEL_EXTENSIONS,
    MODEL_FOLDER_ALIASES,
    MODEL_FOLDER_EXTENSIONS,
    MODEL_FOLDER_PATHS,
    MODEL_FOLDERS,
)

ModelFolder = tuple[list[str], set[str]]
"""The paths of a kind, first choice first, and the endings of its files; no endings means every file."""

NOT_LISTED: Final = frozenset({".git"})
CUSTOM_NODES: Final = "custom_nodes"
SAVED_MODELS: Final = ("checkpoints", "clip", "vae", "diffusion_models", "loras")
"""What nodes may save; each has a folder of that name in the output folder."""


class ModelFolders(dict[str, ModelFolder]):
    """Kind -> ModelFolder; the old names of a kind lead to it. Packs change this table."""

    def __init__(self, models: Path, custom_nodes: Path, output: Path) -> None:
        """The table of an engine whose nodes save models below `output`."""
        common = set(MODEL_EXTENSIONS)
        for kind in MODEL_FOLDERS:
            paths = [str(models / word) for word in MODEL_FOLDER_PATHS.get(kind, (kind,))]
            self[kind] = (paths, set(MODEL_FOLDER_EXTENSIONS[kind]) if kind in MODEL_FOLDER_EXTENSIONS else common)
        self[CUSTOM_NODES] = ([str(custom_nodes)], set())
        for kind in SAVED_MODELS:
            self.extend(kind, str(output / kind))

    def __getitem__(self, kind: str) -> ModelFolder:
        return super().__getitem__(MODEL_FOLDER_ALIASES.get(kind, kind))

    def __contains__(self, kind: object) -> bool:
        return super().__contains__(MODEL_FOLDER_ALIASES.get(kind, kind) if isinstance(kind, str) else kind)

    def extend(self, kind: str, path: str, *, first: bool = False) -> None:
        """Look for files of a kind, a new one too, in one more folder."""
        paths, _ = self.setdefault(MODEL_FOLDER_ALIASES.get(kind, kind), ([], set()))
        if first:
            paths[:] = [path, *(other for other in paths if other != path)]
        elif path not in paths:
            paths.append(path)

    def files(self, kind: str) -> set[str]:
        """Relative names (with '/') of the files of a kind. KeyError when there is no such kind."""
        paths, endings = self[kind]
        names = (name for path in paths for name in _below(path))
        return {name for name in names if not endings or PurePosixPath(name).suffix.lower() in endings}

    def find(self, kind: str, name: str) -> Path | None:
        """The file of that name, None when there is none; a name cannot leave the folder."""
        if kind not in self:
            return None
        inner = os.path.normpath(f"/{name}").lstrip("/")
        found = (path for root in self[kind][0] if os.path.isfile(path := Path(root, inner)))  # noqa: PTH113  no name raises
        return next(found, None)


def _below(root: str) -> Iterator[str]:
    """All files below a folder; links to folders are followed once."""
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        seen.add(os.path.realpath(folder))
        subfolders[:] = [
            name for name in subfolders if name not in NOT_LISTED and os.path.realpath(f"{folder}/{name}") not in seen
        ]
        relative = os.path.relpath(folder, root)
        yield from names if relative == "." else (f"{relative}/{name}".replace(os.sep, "/") for name in names)
