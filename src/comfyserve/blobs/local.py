"""Blobs as files under one folder."""

import asyncio
import errno
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from comfyserve.blobs.keys import check_key
from comfyserve.core.errors import NotFound, StorageFailed, TooLarge
from comfyserve.ports import ByteStream, StoredBlob

CHUNK_BYTES = 768 * 1024
"""A blob up to this size is written, and read, in a single hop off the event loop. A multiple of 3, so that base64 is
made of a chunk as it is."""

INCOMING = ".incoming"
"""Folder of half-written files; no key can name it."""

STALE_SECONDS = 24 * 3600
"""A half-written file that has not grown for so long was left by a process that died; the next start removes it."""

PLACE_TRIES = 5

P = ParamSpec("P")
T = TypeVar("T")


class LocalBlobs:
    """The Blobs port on a local disk: key `a/b.png` is the file `root/a/b.png`.

    A key is visible when the whole file is there, by rename. With `sync` a blob is flushed to disk (fsync) before, so
    that a key never shows half a file, even after a power cut; without it, only the death of a process is survived.
    That the name itself survives a power cut is promised only with `sync_folders`, which also flushes the folder.
    Several processes may share a root.
    """

    def __init__(self, root: Path, *, sync: bool = True, sync_folders: bool = False) -> None:
        self._root = root.resolve()
        self._incoming = self._root / INCOMING
        self._sync = sync
        self._sync_folders = sync_folders
        self._incoming.mkdir(parents=True, exist_ok=True)
        _sweep(self._incoming, time.time() - STALE_SECONDS)

    async def put(
        self, key: str, content: ByteStream, *, limit: int | None = None, mime: str = "", filename: str = ""
    ) -> StoredBlob:
        """Write a stream; nothing is visible before the last byte. Raises TooLarge, StorageFailed.

        `mime` and `filename` are not kept: a folder serves nothing."""
        path = self._path(key)
        writing = _Writing(self._incoming, sync=self._sync)
        buffer = bytearray()
        size = 0
        try:
            async for chunk in content:
                size += len(chunk)
                if limit is not None and size > limit:
                    raise TooLarge(f"The file is larger than the {limit} bytes that are allowed.")
                buffer += chunk
                if len(buffer) >= CHUNK_BYTES:
                    await _hop(writing.write, buffer)
                    buffer = bytearray()
            await _hop(writing.finish, buffer, path, self._sync_folders)
            return StoredBlob(key, size, writing.hash.hexdigest())
        finally:
            if not writing.finished:
                await _hop(writing.abandon)

    @asynccontextmanager
    async def open(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[ByteStream]:
        """Read a blob or a range of it, in chunks of at most CHUNK_BYTES. Raises NotFound."""
        path = self._path(key)
        try:
            first, rest, file = await _hop(_open, path, start, length)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise NotFound(f"There is no blob {key}.") from error
        try:
            yield _chunks(first, rest, file)
        finally:
            if file is not None:
                await _hop(file.close)

    async def size(self, key: str) -> int:
        """Its size in bytes. Raises NotFound."""
        path = self._path(key)
        found = await _hop(_size, path)
        if found is None:
            raise NotFound(f"There is no blob {key}.")
        return found

    async def delete(self, key: str) -> None:
        """Remove it, and the folders that are empty then; quietly nothing when it is absent."""
        await _hop(_delete, self._path(key), self._root)

    async def delete_below(self, folder: str, *, keep: Collection[str] = ()) -> None:
        """Remove every blob below a folder but for `keep`, and the folders that are empty then."""
        await _hop(_delete_below, self._path(folder), frozenset(map(self._path, keep)), self._root)

    async def presigned(self, key: str, seconds: int) -> str | None:
        """None: a folder serves nothing."""
        return None

    async def close(self) -> None:
        """Nothing to let go of."""

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)


class _Writing:
    """A file that grows out of sight. Its methods block and run in threads; the lock is for a put that is cancelled
    while a thread still writes."""

    def __init__(self, folder: Path, *, sync: bool) -> None:
        self.hash = hashlib.sha256()
        self.finished = False
        self._folder = folder
        self._sync = sync
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._abandoned = False
        self._lock = threading.Lock()

    def write(self, data: bytearray) -> None:
        with self._lock:
            self._write(data)

    def finish(self, data: bytearray, path: Path, sync_folder: bool) -> None:
        with self._lock:
            file, written = self._write(data)
            if self._sync:
                os.fsync(file.fileno())
            file.close()
            _place(written, path)
            self.finished = True
        if sync_folder:
            _flush_folder(path.parent)

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            if self._file is not None:
                self._file.close()
            if self._path is not None and not self.finished:
                self._path.unlink(missing_ok=True)

    def _write(self, data: bytearray) -> tuple[BinaryIO, Path]:
        if self._abandoned:
            raise InterruptedError("the put was cancelled")
        if self._file is None or self._path is None:
            handle, name = tempfile.mkstemp(dir=self._folder)
            self._file, self._path = os.fdopen(handle, "wb", buffering=0), Path(name)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.hash.update(data)
        return self._file, self._path


async def _hop(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Run blocking work in a thread; a disk that fails is StorageFailed, a name that is absent stays itself."""
    try:
        return await asyncio.to_thread(work, *args, **options)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFailed(
                "The disk of the data directory is full. Free some space or use a larger one."
            ) from error
        raise StorageFailed(f"The data directory cannot be read or written: {error.strerror}.") from error


def _open(path: Path, start: int, length: int | None) -> tuple[bytes, int, BinaryIO | None]:
    """The first chunk of a range, how many bytes are wanted after it, and the file if there are any."""
    file = path.open("rb", buffering=0)
    try:
        rest = max(0, os.fstat(file.fileno()).st_size - start)
        rest = rest if length is None else min(rest, length)
        file.seek(start)
        first = file.read(min(rest, CHUNK_BYTES))
        rest -= len(first)
    except BaseException:
        file.close()
        raise
    if rest > 0:
        return first, rest, file
    file.close()
    return first, 0, None


async def _chunks(first: bytes, rest: int, file: BinaryIO | None) -> ByteStream:
    if first:
        yield first
    while file is not None and rest > 0:
        chunk = await _hop(file.read, min(rest, CHUNK_BYTES))
        if not chunk:
            raise StorageFailed("A blob ended before its size: somebody cut the file.")
        rest -= len(chunk)
        yield chunk


def _place(written: Path, path: Path) -> None:
    """Rename into place; the folder is made when it is missing, and again when a delete has just removed it."""
    for _ in range(PLACE_TRIES):
        try:
            written.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            return
    raise OSError(errno.ENOENT, f"the folder {path.parent.name} vanishes")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _delete(path: Path, root: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()
    _drop_empty(path.parent, root)


def _delete_below(folder: Path, keep: Collection[Path], root: Path) -> None:
    for path, _, names in os.walk(folder, topdown=False, onerror=_unless_absent):
        for name in names:
            if (file := Path(path, name)) not in keep:
                file.unlink(missing_ok=True)
        _drop_empty(Path(path), root)


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _drop_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those around it, as long as nothing is in them."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path, before: float) -> None:
    for left in folder.iterdir():
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < before:
                left.unlink()
