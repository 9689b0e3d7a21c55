"""The sample of docs/extending.md: a folder of this machine as a storage, `shelf://name/file`."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Shelf:
    """Files below the folder that SHELF_FOLDER names."""

    def __init__(self) -> None:
        self._root = Path(os.environ["SHELF_FOLDER"]).resolve()

    async def read(self, url: str) -> AsyncIterator[bytes]:
        """The file at an address, in pieces."""
        with self._path(url).open("rb") as file:
            while piece := file.read(256 * 1024):
                yield piece

    async def write(self, url: str, content: AsyncIterator[bytes], *, size: int, mime: str) -> None:
        """Put a file at an address, where it shows when all of it is there."""
        path = self._path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        try:
            with fresh.open("wb") as file:
                async for piece in content:
                    file.write(piece)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)

    def _path(self, url: str) -> Path:
        parts = urlsplit(url)
        path = (self._root / parts.netloc / unquote(parts.path).lstrip("/")).resolve()
        if not path.is_relative_to(self._root):
            raise ValueError(url)
        return path
