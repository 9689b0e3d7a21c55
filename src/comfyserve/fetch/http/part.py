"""A file that is not whole yet, and what is known about it: `path` and `path` + `.resume`. Everything here blocks."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from comfyserve.core.errors import StorageFailed, TooLarge
from comfyserve.fetch.http.answer import HASHES, Facts

VERSION = 1
MAX_RESUME_BYTES = 1_000_000
HEAD_BYTES = 64
MOST_STRETCHES = 4096


@dataclass
class Stretch:
    """A run of bytes of the file: written from `start` to `at`, seen on the wire to `seen`, wanted to `end`.

    Whoever reads it moves `at` and `seen`; the event loop alone moves `end` and says whether it is `taken`.
    """

    start: int
    end: int
    at: int = -1
    seen: int = -1
    taken: bool = False

    def __post_init__(self) -> None:
        self.at = self.start if self.at < 0 else self.at
        self.seen = self.at

    @property
    def is_done(self) -> bool:
        """Whether nothing is wanted any more."""
        return self.at >= self.end


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The resume file."""

    version: int
    size: int
    done: list[tuple[int, int]]
    etag: str
    last_modified: str
    mime: str
    filename: str
    digests: dict[str, str]


class Part:
    """The file, open. `facts` are the origin's, `stretches` what is there and what is missing."""

    def __init__(self, path: Path, limit: int) -> None:
        """Open it and read what an earlier download left. Raises StorageFailed."""
        self.path = path
        self.limit = limit
        self.facts = Facts()
        self.stretches: list[Stretch] = []
        self._resume = path.with_name(path.name + ".resume")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _no_room(error) from error
        self._take_up(_read_kept(self._resume))

    @property
    def frontier(self) -> int:
        """How many bytes from the first on are written."""
        return _frontier(tuple(self.stretches))

    @property
    def received(self) -> int:
        """How many bytes have come, wherever they belong."""
        return sum(stretch.seen - stretch.start for stretch in tuple(self.stretches))

    @property
    def missing(self) -> Stretch | None:
        """The first stretch that nobody reads."""
        waiting = [stretch for stretch in self.stretches if not stretch.is_done and not stretch.taken]
        return min(waiting, key=lambda stretch: stretch.start, default=None)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return all(stretch.is_done for stretch in self.stretches)

    def begin(self, facts: Facts) -> None:
        """Start from the first byte with what the answer says. Raises TooLarge, StorageFailed."""
        if (facts.size or 0) > self.limit:
            raise too_large(self.limit)
        self.facts = facts
        self.stretches = [Stretch(0, self.limit + 1 if facts.size is None else facts.size)]
        self._resume.unlink(missing_ok=True)
        try:
            if (facts.size or 0) > shutil.disk_usage(self.path.parent).free + os.fstat(self._file).st_blocks * 512:
                raise StorageFailed("The disk has no room for the file.")
            self._resize(facts.size or 0)
        except OSError as error:
            raise _no_room(error) from error

    def forget(self) -> None:
        """Nothing that is there can be used."""
        self.facts, self.stretches = Facts(), []
        self._resume.unlink(missing_ok=True)

    def write(self, pieces: Sequence[bytes], at: int) -> int:
        """Write them one after the other; the answer is the place after the last. Raises StorageFailed."""
        try:
            total = sum(map(len, pieces))
            wrote = os.pwritev(self._file, pieces, at)
            while wrote < total:
                wrote += os.pwrite(self._file, b"".join(pieces)[wrote:], at + wrote)
        except OSError as error:
            raise _no_room(error) from error
        return at + total

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Read what was written; the answer is how many bytes. Raises StorageFailed."""
        try:
            return os.preadv(self._file, [buffer], at)
        except OSError as error:
            raise _no_room(error) from error

    def head(self) -> bytes:
        """The first bytes, which tell the type."""
        return os.pread(self._file, HEAD_BYTES, 0)

    def keep(self) -> None:
        """Write down what is there, so that another process can go on; what has no validator cannot be gone on with."""
        if not self.facts.condition or self.facts.size is None:
            return
        kept = {**self.facts.as_json(), "version": VERSION, "done": _merged(tuple(self.stretches))}
        beside = self._resume.with_name(self._resume.name + ".new")
        try:
            os.fsync(self._file)
            beside.write_text(json.dumps(kept))
            beside.replace(self._resume)
        except OSError as error:
            raise _no_room(error) from error

    def finish(self, size: int) -> None:
        """The file is whole: cut it to its size and forget how it came."""
        try:
            self._resize(size)
            self._resume.unlink(missing_ok=True)
        except OSError as error:
            raise _no_room(error) from error

    def abandon(self) -> None:
        """Keep what another download can go on with, else remove it all."""
        if not (self.facts.condition and self.facts.size and self.received):
            self.remove()
            return
        try:
            self.keep()
        except StorageFailed:
            self.remove()

    def remove(self) -> None:
        """Leave nothing on disk."""
        self.forget()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _resize(self, size: int) -> None:
        """Not by way of 0, nor in vain: ext4 writes a file out when it is closed after that, which takes its time."""
        if os.fstat(self._file).st_size != size:
            os.ftruncate(self._file, size)

    def _take_up(self, kept: Kept | None) -> None:
        if kept is None or not _fits(kept, os.fstat(self._file).st_size, self.limit):
            return
        facts = {name: getattr(kept, name) for name in Facts.__dataclass_fields__}
        done = [(start, min(end, kept.size - 1)) for start, end in kept.done]
        self.facts = Facts(**facts)
        self.stretches = _stretches(done, kept.size)


def too_large(limit: int) -> TooLarge:
    """The file is over the limit."""
    return TooLarge(f"The file is larger than the {limit} bytes that are allowed.")


def _stretches(done: Iterable[tuple[int, int]], size: int) -> list[Stretch]:
    """What is done and the gaps between, in order. The last byte is always asked for: the origin then says whether
    the rest is still the file."""
    found, at = [], 0
    for start, end in done:
        if start > at:
            found.append(Stretch(at, start))
        if end > start:
            found.append(Stretch(start, end, end))
        at = max(at, end)
    if at < size:
        found.append(Stretch(at, size))
    return found


def _merged(stretches: Iterable[Stretch]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.start):
        if stretch.at == stretch.start:
            continue
        if ranges and stretch.start <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], stretch.at))
        else:
            ranges.append((stretch.start, stretch.at))
    return ranges


def _frontier(stretches: Iterable[Stretch]) -> int:
    ranges = _merged(stretches)
    return ranges[0][1] if ranges and ranges[0][0] == 0 else 0


def _read_kept(path: Path) -> Kept | None:
    """What was kept; None when it is absent or spoiled."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_RESUME_BYTES), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None


def _fits(kept: Kept, on_disk: int, limit: int) -> bool:
    """Whether it can be true: ranges in order and inside a file of that size."""
    edges: list[Any] = [edge for pair in kept.done for edge in pair]
    return (
        kept.version == VERSION
        and 0 < kept.size == on_disk <= limit
        and len(kept.done) <= MOST_STRETCHES
        and edges == sorted(edges)
        and all(0 <= edge <= kept.size for edge in edges)
        and set(kept.digests) <= set(HASHES.values())
    )


def _no_room(error: OSError) -> StorageFailed:
    return StorageFailed(f"The file cannot be kept on disk: {error.strerror}.")
