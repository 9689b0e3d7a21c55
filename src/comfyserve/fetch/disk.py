"""Files and folders of downloads: how much of them is there, and their removal."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

BLOCK_BYTES = 512
"""The unit of st_blocks (stat(2))."""


def size_on_disk(path: Path) -> int:
    """The bytes of a file, or of all files below a folder, that are written: a file may have been made longer in
    advance. A link counts as itself, what cannot be seen as nothing."""
    if path.is_symlink() or not path.is_dir():
        return _written(path)
    return sum(_written(os.path.join(parent, name)) for parent, _, names in os.walk(path) for name in names)  # noqa: PTH118  (a walk of thousands of files)


def _written(path: Path | str) -> int:
    with suppress(OSError):
        found = os.lstat(path)
        return min(found.st_size, found.st_blocks * BLOCK_BYTES)
    return 0


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
