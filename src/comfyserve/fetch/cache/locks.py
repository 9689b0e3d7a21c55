"""Locks between processes, by flock(2): the kernel frees them when their holder dies."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from comfyserve.core.errors import StorageFailed

ROOM_SECONDS = 30.0
"""How long a process waits for another that makes room; it takes milliseconds unless that one is frozen."""
ROOM_PAUSE = 0.02
NOTE_BYTES = 64


class Pin:
    """A cached file or folder in use: while it is held nobody evicts it. The lock is on the file itself, so that it
    stays with the file whatever its name becomes."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def take(cls, path: Path, *, alone: bool = False) -> "Pin | None":
        """A pin on what lies at the path; None when it is gone, or when it is in use and we want it `alone`."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        if _lock(handle, alone=alone) and _lies_at(handle, path):
            return cls(handle)
        os.close(handle)
        return None

    def stat(self) -> os.stat_result:
        """The facts of the pinned file."""
        assert self._handle is not None, "a released pin has no file"
        return os.fstat(self._handle)

    def release(self) -> None:
        """Let go; a second time does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class Claim:
    """The right to download one file, shown by a lock file, in which the holder notes how far it is."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.reserved = 0
        self._handle: int | None = handle
        self._guard = threading.Lock()

    @classmethod
    def take(cls, path: Path) -> "Claim | None":
        """The claim; None when somebody else has it. Raises StorageFailed when no lock file can be made."""
        while True:
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise StorageFailed(f"The download cache cannot be written: {error.strerror}.") from error
            if not _lock(handle, alone=True):
                os.close(handle)
                return None
            if _lies_at(handle, path):
                return cls(path, handle)
            os.close(handle)

    def note(self, received: int, total: int | None) -> None:
        """Tell other processes how far the download is; on a full disk they do not hear it."""
        text = f"{received} {-1 if total is None else total} {self.reserved}".ljust(NOTE_BYTES)
        with self._guard, suppress(OSError):
            if self._handle is not None:
                os.pwrite(self._handle, text.encode(), 0)

    def release(self) -> None:
        """Remove the lock file, then let go; a second time does nothing."""
        with self._guard:
            if self._handle is not None:
                self.path.unlink(missing_ok=True)
                os.close(self._handle)
                self._handle = None


def read_note(path: Path) -> tuple[int, int | None, int]:
    """What the holder of a claim noted: bytes received, bytes in all if known, bytes reserved."""
    try:
        received, total, reserved = (int(word) for word in path.read_text().split())
    except (OSError, ValueError):
        return 0, None, 0
    return received, None if total < 0 else total, reserved


def is_held(path: Path) -> bool:
    """Whether somebody alive holds the claim of a lock file."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _lock(handle, alone=False)
    finally:
        os.close(handle)


@contextmanager
def room_lock(path: Path) -> Iterator[None]:
    """One at a time counts and makes room. Blocks; raises StorageFailed when another holds it too long."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(f"The download cache cannot be written: {error.strerror}.") from error
    try:
        end = time.monotonic() + ROOM_SECONDS
        while not _lock(handle, alone=True):
            if time.monotonic() > end:
                raise StorageFailed("The download cache is held by a process that does not go on.")
            time.sleep(ROOM_PAUSE)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, *, alone: bool) -> bool:
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lies_at(handle: int, path: Path) -> bool:
    """Whether the path still leads to the open file: between open and lock somebody may have removed it."""
    try:
        there = path.stat(follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(os.fstat(handle), there)
