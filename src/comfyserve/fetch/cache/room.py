"""Room in the cache: what lies there, what is on its way, and who goes first when it gets tight."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from comfyserve.core.errors import StorageFailed, TooLarge
from comfyserve.fetch.cache.bin import Bin
from comfyserve.fetch.cache.card import card_path, read_card
from comfyserve.fetch.cache.links import remove_link
from comfyserve.fetch.cache.locks import Claim, Pin, is_held, read_note, room_lock
from comfyserve.fetch.cache.names import KEY_LENGTH, is_entry
from comfyserve.fetch.disk import size_on_disk
from comfyserve.ports import SystemEvent, TellSystem

SPARE_FROM = 1024**3
UNKNOWN_URL = "unknown"
SPARE_PART = 100
"""A cache of at least this many bytes is emptied by a hundredth more than is missing."""


@dataclass(frozen=True)
class Folders:
    """Where things lie: the files themselves in `root`, the rest in folders with a dot."""

    root: Path

    @property
    def room(self) -> Path:
        """The lock under which room is counted and made; in it, the bytes of all files."""
        return self.root / ".room"

    @property
    def incoming(self) -> Path:
        """Downloads on their way, named by key; the source may keep more beside them."""
        return self.root / ".incoming"

    @property
    def claims(self) -> Path:
        """A lock file for each download on its way, named by key."""
        return self.root / ".locks"

    @property
    def bin(self) -> Path:
        """What is about to be deleted."""
        return self.root / ".bin"

    @property
    def temporary(self) -> Path:
        """A folder for each process, for what is not kept."""
        return self.root / ".temporary"


@dataclass(frozen=True)
class Entry:
    """A cached file with its side-car: bytes, and when it was last used."""

    path: Path
    size: int
    used_ns: int


class Room:
    """Keeps the folder within `limit` bytes (0: only within its disk). Call it while it is `locked`."""

    def __init__(self, folders: Folders, limit: int, tell: TellSystem | None = None) -> None:
        self._tell = tell
        self._folders = folders
        self._limit = limit
        self.bin = Bin(folders.bin)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the room lock. What was put into the bin meanwhile is deleted after it is released."""
        try:
            with room_lock(self._folders.room):
                yield
        finally:
            self.bin.empty()

    def make(self, need: int, own: str = "") -> None:
        """Evict so that a download of `need` bytes fits, `own` being its key. Nothing is evicted when it raises
        TooLarge, since so much never fits, or StorageFailed, since what nobody uses is not enough."""
        if self._limit and need > self._limit:
            raise TooLarge(
                f"The file needs {need} bytes, but the download cache may hold {self._limit}. Raise cache_bytes."
            )
        kept = self._noted()
        if kept is not None and self._missing(need, own, kept) <= 0:
            return
        missing = self._missing(need, own, self.count())
        if missing > 0:
            missing -= self._drop_abandoned(own)
        if missing > 0:
            self._evict(missing, need)

    def count(self) -> int:
        """Look at everything that lies here, and note the sum, so that it need not be counted each time."""
        kept = sum(entry.size for entry in self.entries())
        self._note(kept)
        return kept

    def add(self, size: int) -> None:
        """Note that a file comes; before it does, so that a crash counts too much rather than too little."""
        if (kept := self._noted()) is not None:
            self._note(kept + size)

    def entries(self) -> Iterator[Entry]:
        """What lies in the cache."""
        with os.scandir(self._folders.root) as found:
            for item in found:
                if is_entry(item.name) and not item.is_symlink() and (entry := _entry(item)) is not None:
                    yield entry

    def _remove(self, entry: Path) -> None:
        """Take away a cached file that we hold alone, its links and its side-car: the side-car last, so that the mark
        of a private file lives as long as the file."""
        if (card := read_card(entry)) is not None:
            for link in card.links:
                remove_link(entry, link)
        self.bin.take(entry)
        card_path(entry).unlink(missing_ok=True)

    def _noted(self) -> int | None:
        try:
            return int(self._folders.room.read_text())
        except (OSError, ValueError):
            return None

    def _note(self, kept: int) -> None:
        with contextlib.suppress(OSError):  # without a note it is counted again
            self._folders.room.write_text(str(kept))

    def _missing(self, need: int, own: str, kept: int) -> int:
        here = sum(size_on_disk(path) for path in _partials(self._folders, own)) if own else 0
        on_disk = max(0, need - here) - shutil.disk_usage(self._folders.root).free
        if not self._limit:
            return on_disk
        return max(on_disk, kept + self._on_their_way(own) + need - self._limit)

    def _on_their_way(self, own: str) -> int:
        """What others download: the bytes that they reserved, or that are there already."""
        sizes: dict[str, int] = {}
        for path in self._folders.incoming.iterdir():
            key = path.name[:KEY_LENGTH]
            sizes[key] = sizes.get(key, 0) + size_on_disk(path)
        for claim in self._folders.claims.iterdir():
            if claim.name != own and is_held(claim):
                sizes[claim.name] = max(sizes.get(claim.name, 0), read_note(claim)[2])
        sizes.pop(own, None)
        return sum(sizes.values())

    def _drop_abandoned(self, own: str) -> int:
        """Remove what broken downloads left; the answer is the bytes that this frees."""
        freed = 0
        for path in list(self._folders.incoming.iterdir()):
            key = path.name[:KEY_LENGTH]
            if key == own or (claim := Claim.take(self._folders.claims / key)) is None:
                continue
            freed += size_on_disk(path)
            self.bin.take(path)
            claim.release()
        return freed

    def _evict(self, missing: int, need: int) -> None:
        """The longest unused first; in a large cache somewhat more than is missing, since it means a look at all."""
        entries = sorted(self.entries(), key=lambda entry: entry.used_ns)
        lacking = missing - _sum_until(missing, (entry.size for entry in entries if _is_unused(entry.path)))
        if lacking > 0:
            raise StorageFailed(
                f"The download cache has no room for {need} bytes: {lacking} are missing, and the files in it are "
                "in use. Raise cache_bytes, free some disk, or run less at a time."
            )
        missing += self._limit // SPARE_PART if self._limit >= SPARE_FROM else 0
        self.add(-_sum_until(missing, (entry.size for entry in entries if self._evict_one(entry))))

    def _evict_one(self, entry: Entry) -> bool:
        """Whether it is gone, of which the operator hears."""
        card = read_card(entry.path) if self._tell is not None else None
        gone = self.remove_unused(entry.path)
        if gone and self._tell is not None:
            data = {"url": card.url if card else UNKNOWN_URL, "local_path": str(entry.path), "size": entry.size}
            self._tell(SystemEvent("storage", "file_deleted", data))
        return gone

    def remove_unused(self, path: Path) -> bool:
        """Remove a cached file unless somebody uses it; whether it is gone."""
        if (pin := Pin.take(path, alone=True)) is None:
            return False
        self._remove(path)
        pin.release()
        return True


def _sum_until(enough: int, sizes: Iterator[int]) -> int:
    """The sum of the first sizes that make enough; it takes no more of them."""
    total = 0
    while total < enough and (size := next(sizes, None)) is not None:
        total += size
    return total


def _is_unused(path: Path) -> bool:
    if (pin := Pin.take(path, alone=True)) is not None:
        pin.release()
    return pin is not None


def _entry(item: os.DirEntry[str]) -> Entry | None:
    """The facts of a file; None when it went away meanwhile. One without a side-car is the first to go."""
    path = Path(item.path)
    try:
        facts = item.stat(follow_symlinks=False)
        size = _folder_size(path) if item.is_dir(follow_symlinks=False) else facts.st_size
    except OSError:
        return None
    try:
        card = card_path(path).stat()
    except OSError:
        return Entry(path, size, 0)
    return Entry(path, size + card.st_size, card.st_mtime_ns)


def _folder_size(path: Path) -> int:
    card = read_card(path)
    return card.size if card is not None else size_on_disk(path)


def _partials(folders: Folders, key: str) -> list[Path]:
    return [path for path in folders.incoming.iterdir() if path.name.startswith(key)]
