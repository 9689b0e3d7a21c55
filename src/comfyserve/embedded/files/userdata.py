"""The files of one user, by names that never leave the user's folder (spec section 6)."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from comfyserve.core.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge
from comfyserve.embedded.files.folders import inside
from comfyserve.embedded.files.users import UNFINISHED, replacing

INVALID_NAME = "This cannot be the name of a file; use letters, digits, dots and dashes, and no name of a folder"
EXISTS = "File already exists"


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder of a user."""

    path: Path
    is_folder: bool
    stat: os.stat_result


class UserFiles:
    """Files below `root`. Names may be percent-encoded once more, as front ends send them."""

    def __init__(self, root: Path, *, most_files: int, most_bytes: int, writing: threading.Lock) -> None:
        """`writing`: the one lock of all who change files below `root`."""
        self.root = Path(os.path.realpath(root))
        self._writing = writing
        self._most_files = most_files
        self._most_bytes = most_bytes

    def path(self, name: str) -> Path:
        """Where a name lies; Forbidden when that is outside of the folder."""
        try:
            return inside(self.root, unquote(name) if "%" in name else name)
        except ValueError as error:
            raise Forbidden("This name leaves the folder of the user") from error

    def existing(self, name: str) -> Path:
        """The file of a name; NotFound when there is none."""
        path = self.path(name)
        if not path.is_file():
            raise NotFound("File not found")
        return path

    def listing(self, name: str, *, recurse: bool) -> list[Found]:
        """The files of a folder, and of those below it. NotFound when it is absent."""
        folder = self.path(name)
        if not folder.exists():
            raise NotFound("Directory not found")
        return [found for found in _walk(folder, recurse=recurse, hidden=False) if not found.is_folder]

    def tree(self, name: str) -> list[dict[str, Any]]:
        """Everything below a folder, folders first. [] for a user without files; NotFound, InvalidInput."""
        folder = self.path(name)
        if not folder.exists():
            if folder == self.root:
                return []
            raise NotFound("There is no folder of this name")
        if not folder.is_dir():
            raise InvalidInput("This is the name of a file; give that of a folder")
        entries = [self._entry(found) for found in _walk(folder, recurse=True)]
        return sorted(entries, key=lambda entry: (entry["type"] != "directory", entry["name"].lower()))

    def check_room(self, name: str, *, overwrite: bool, size: int = 1) -> Path:
        """The path where a file of this name and size may be written. Conflict, InvalidInput, TooLarge."""
        path = self._free(name, overwrite=overwrite)
        if path == self.root or path.is_dir():
            raise InvalidInput(INVALID_NAME)
        others = [found for found in _walk(self.root, recurse=True) if not found.is_folder and found.path != path]
        if len(others) >= self._most_files or sum(found.stat.st_size for found in others) + size > self._most_bytes:
            raise TooLarge(
                f"A user may have {self._most_files} files and {self._most_bytes} bytes in them; delete some first"
            )
        return path

    def place(self, content: Path, name: str, *, overwrite: bool) -> Found:
        """Move a finished file to its name, if there is room now. Conflict, InvalidInput, TooLarge."""
        with self._writing:
            path = self.check_room(name, overwrite=overwrite, size=content.stat().st_size)
            try:
                with replacing(path) as fresh:
                    shutil.move(content, fresh)
            except OSError as error:
                self._prune(path.parent)
                raise InvalidInput(INVALID_NAME) from error
            return Found(path, False, path.stat())

    def delete(self, name: str) -> None:
        """Remove a file, and the folders that are empty without it; NotFound."""
        with self._writing:
            path = self.existing(name)
            path.unlink(missing_ok=True)
            self._prune(path.parent)

    def move(self, name: str, to: str, *, overwrite: bool) -> Found:
        """Give a file another name. NotFound, Conflict, InvalidInput."""
        with self._writing:
            source, target = self.existing(name), self._free(to, overwrite=overwrite)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
            except OSError as error:
                self._prune(target.parent)
                raise InvalidInput(INVALID_NAME) from error
            self._prune(source.parent)
            return Found(target, False, target.stat())

    def _free(self, name: str, *, overwrite: bool) -> Path:
        """The path of a name that may be given to a file. Conflict, InvalidInput."""
        path = self.path(name)
        # Such files are not counted.
        if any(part.endswith(UNFINISHED) for part in path.relative_to(self.root).parts):
            raise InvalidInput(INVALID_NAME)
        if not overwrite and path.exists():
            raise Conflict(EXISTS)
        return path

    def _prune(self, folder: Path) -> None:
        """Remove a folder and those above it, as far as they are empty: nobody counts or deletes folders."""
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent

    def _entry(self, found: Found) -> dict[str, Any]:
        told: dict[str, Any] = {"name": found.path.name, "path": relative(found.path, self.root)}
        if found.is_folder:
            return {**told, "type": "directory"}
        return {**told, "type": "file", "size": found.stat.st_size, "modified": found.stat.st_mtime}


def relative(path: Path, root: Path) -> str:
    """The name of a path below root, with slashes."""
    return path.relative_to(root).as_posix()


def file_info(found: Found, root: Path) -> dict[str, Any]:
    """Name, size and times (seconds) of a file as `full_info=true` tells them."""
    return {
        "path": relative(found.path, root),
        "size": found.stat.st_size,
        "modified": found.stat.st_mtime,
        "created": found.stat.st_ctime,
    }


def _walk(folder: Path, *, recurse: bool, hidden: bool = True) -> Iterator[Found]:
    """What lies in a folder: no links, and nothing that is being written."""
    waiting = [folder] if folder.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            found = [_look(entry) for entry in entries if _is_shown(entry, hidden=hidden)]
        here = [one for one in found if one is not None]
        yield from here
        if recurse:
            waiting.extend(one.path for one in here if one.is_folder)


def _is_shown(entry: os.DirEntry[str], *, hidden: bool) -> bool:
    return not entry.is_symlink() and not entry.name.endswith(UNFINISHED) and (hidden or entry.name[0] != ".")


def _look(entry: os.DirEntry[str]) -> Found | None:
    try:
        return Found(Path(entry.path), entry.is_dir(), entry.stat())
    except FileNotFoundError:  # deleted meanwhile
        return None
