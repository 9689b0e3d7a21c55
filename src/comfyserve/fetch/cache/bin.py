"""The bin of the cache: what goes, goes out of sight at once and is deleted when nobody waits for us.

To delete a folder of thousands of files, or one file of 60 GB, takes longer than others wait for the room lock.
"""

import secrets
from contextlib import suppress
from pathlib import Path
from threading import Lock

from comfyserve.fetch.disk import remove


class Bin:
    """A folder on the disk of the cache. Several threads may use it, and several processes the same folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[Path] = []
        self._lock = Lock()

    def open(self) -> None:
        """Make the folder; what dead processes left in it waits to be deleted."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with self._lock:
            self._waiting += self._folder.iterdir()

    def take(self, path: Path) -> None:
        """Put a file or a folder into the bin, if it is there. Raises OSError."""
        doomed = self._folder / secrets.token_hex(8)
        with suppress(FileNotFoundError):
            path.rename(doomed)
            with self._lock:
                self._waiting.append(doomed)

    def empty(self) -> None:
        """Delete what we took; another process may be at it, too. What the disk keeps is left for the next start."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for doomed in waiting:
            with suppress(OSError):
                remove(doomed)
