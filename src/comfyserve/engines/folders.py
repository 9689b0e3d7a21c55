"""The folders of an engine of ours: its files are read where they lie, and removed when a run is forgotten."""

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from comfyserve.core.outputs import EngineFile
from comfyserve.ports import ByteStream
from comfyserve.protocol import files

PIECE_BYTES = 1024 * 1024
SMALL_BYTES = 256 * 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Folders:
    """`input`, `output` and `temp` under `base`, or where `moved` says. Nothing outside of them is ever read or
    removed."""

    base: Path
    moved: Mapping[str, Path] = field(default_factory=dict)

    def root(self, kind: str) -> Path:
        """The folder of the engine's inputs, outputs or temporary files."""
        return self.moved.get(kind, self.base / kind)

    def path(self, file: EngineFile) -> Path | None:
        """Where a file lies; None for a name that leads out of the folders or that no file can have."""
        if file.type not in files.FILE_TYPES or Path(file.filename).name != file.filename:
            return None
        if "\0" in file.filename + file.subfolder:
            return None
        root = os.path.realpath(self.root(file.type))
        path = os.path.realpath(Path(root, file.subfolder, file.filename))
        return Path(path) if os.path.commonpath((root, path)) == root else None

    def find(self, file: EngineFile) -> Path | None:
        """Where a file lies that is there; None for anything else."""
        path = self.path(file)
        try:
            return path if path is not None and path.is_file() else None
        except OSError:  # a name that is too long, a folder that may not be entered
            return None

    def input_path(self, name: str) -> Path | None:
        """Where a file or a folder among the inputs lies; None for a name that leads out of them."""
        if "\0" in name:
            return None
        root = self.root("input").resolve()
        path = root / name
        return path if path.resolve().is_relative_to(root) else None

    async def remove(self, prompt_ids: Sequence[str], wanted: Sequence[EngineFile]) -> None:
        """Remove these files and the folders of outputs that are named after these prompts."""
        await asyncio.to_thread(self._remove, tuple(prompt_ids), tuple(wanted))

    def _remove(self, prompt_ids: Sequence[str], wanted: Sequence[EngineFile]) -> None:
        for path in filter(None, map(self.path, wanted)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("engine.file_left", path=str(path), error=str(error))
            _remove_emptied(path.parent, prompt_ids)
        for prompt_id in prompt_ids:
            folder = self.path(EngineFile(prompt_id))
            if folder is not None and folder.parent == self.root("output").resolve():
                shutil.rmtree(folder, ignore_errors=True)


async def read_pieces(path: Path) -> ByteStream:
    """A file of this machine in pieces; a small one is read at once, which is quicker than a hop to a thread."""
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= SMALL_BYTES:
            yield file.read()
            return
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece


def _remove_emptied(folder: Path, prompt_ids: Sequence[str]) -> None:
    """Remove a folder of pictures that was made for one of these prompts, when its last file is gone."""
    if any(folder.name.startswith(f"{prompt_id}_") for prompt_id in prompt_ids):
        with suppress(OSError):  # it has other files still
            folder.rmdir()
