"""The files of one user, by names that never leave the user's folder (spec section 6)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from comfyserve.core.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge
from comfyserve.embedded.folders import inside
from comfyserve.embedded.users import UNFINISHED, replacing

INVALID_NAME = 'Invalid filename. Please avoid special characters like :\\/*?"<>|'
EXISTS = "File already exists"


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder of a user."""

    path: Path
    is_folder: bool
    stat: os.stat_result


class UserFiles:
    """Files below `root`. Names may be percent-encoded once more, as front ends send them."""

    def __init__(self, root: Path, *, most_files: int, most_bytes: int) -> None:
        self.root = Path(os.path.realpath(root))
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
            # ComfyUI makes the folder above the one that was asked for, and no more.
            folder.parent.mkdir(parents=True, exist_ok=True)
            raise NotFound("Directory not found")
        return [found for found in _walk(folder, recurse=recurse, hidden=False) if not found.is_folder]

    def tree(self, name: str) -> list[dict[str, Any]]:
        """Everything below a folder, folders first. [] for a user without files; NotFound, InvalidInput."""
        folder = self.path(name)
        if not folder.exists():
            if folder == self.root:
                return []
            raise NotFound("Requested path not found")
        if not folder.is_dir():
            raise InvalidInput("Requested path is not a directory")
        entries = [self._entry(found) for found in _walk(folder, recurse=True)]
        return sorted(entries, key=lambda entry: (entry["type"] != "directory", entry["name"].lower()))

    def check_room(self, name: str, *, overwrite: bool) -> Path:
        """The path where a file of this name may be written. Conflict, InvalidInput, TooLarge."""
        path = self.path(name)
        if not overwrite and path.exists():
            raise Conflict(EXISTS)
        if path == self.root or path.is_dir():
            raise InvalidInput(INVALID_NAME)
        others = [found for found in _walk(self.root, recurse=True) if not found.is_folder and found.path != path]
        if len(others) >= self._most_files or sum(found.stat.st_size for found in others) >= self._most_bytes:
            raise TooLarge(
                f"A user may have {self._most_files} files and {self._most_bytes} bytes in them; delete some first"
            )
        return path

    def place(self, content: Path, path: Path) -> None:
        """Move a finished file to its path; InvalidInput when the name cannot be one."""
        try:
            with replacing(path) as fresh:
                shutil.move(content, fresh)
        except OSError as error:
            raise InvalidInput(INVALID_NAME) from error

    def delete(self, name: str) -> None:
        """Remove a file; NotFound."""
        self.existing(name).unlink(missing_ok=True)

    def move(self, name: str, to: str, *, overwrite: bool) -> Path:
        """Give a file another name and tell its path. NotFound, Conflict, InvalidInput."""
        source, target = self.existing(name), self.path(to)
        if not overwrite and target.exists():
            raise Conflict(EXISTS)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        except OSError as error:
            raise InvalidInput(INVALID_NAME) from error
        return target

    def _entry(self, found: Found) -> dict[str, Any]:
        told: dict[str, Any] = {"name": found.path.name, "path": relative(found.path, self.root)}
        if found.is_folder:
            return {**told, "type": "directory"}
        return {**told, "type": "file", "size": found.stat.st_size, "modified": found.stat.st_mtime}


def relative(path: Path, root: Path) -> str:
    """The name of a path below root, with slashes."""
    return path.relative_to(root).as_posix()


def file_info(path: Path, root: Path, stat: os.stat_result | None = None) -> dict[str, Any]:
    """Name, size and times (seconds) of a file as `full_info=true` tells them."""
    stat = stat or path.stat()
    return {
        "path": relative(path, root),
        "size": stat.st_size,
        "modified": stat.st_mtime,
        "created": stat.st_ctime,
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
