"""The folder of downloaded files. The folder is the truth; what is remembered of it is only where to look first.

Its methods block and run in threads. Several processes may share a folder. A power cut may cost files that were just
written: their cards do not fit them then, and they are fetched again.
"""

import contextlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from comfyserve.core.errors import Conflict, NotFound, StorageFailed, TooLarge
from comfyserve.fetch.cache.card import Card, card_path, read_card
from comfyserve.fetch.cache.links import Link, find_link
from comfyserve.fetch.cache.locks import Claim, Pin, is_held, read_note
from comfyserve.fetch.cache.names import CARD_ENDING, KEY_LENGTH, Slot, is_entry
from comfyserve.fetch.cache.room import Folders, Room
from comfyserve.fetch.disk import remove
from comfyserve.ports import TellSystem

log = structlog.get_logger(__name__)

PARTIAL_SECONDS = 24 * 3600
"""How long what a broken download left waits for somebody to go on with it."""
FILE_MODE, FOLDER_MODE = 0o644, 0o755
OTHERS = 0o077
SECRET_BYTES = 32
RESUME_ENDING = ".resume"
MAX_RECENT = 10_000
"""How many names are remembered of files whose URLs do not tell their ending; a guess that is always checked."""


class PlaceTaken(Conflict):
    """Something of somebody else lies where a link to a cached file should be."""


@dataclass(frozen=True)
class Copy:
    """A cached file, pinned until it is released."""

    path: Path
    card: Card
    pin: Pin

    def release(self) -> None:
        """Let go of the file; a second time does nothing."""
        self.pin.release()


class Store:
    """Finds, takes in and evicts. Methods raise StorageFailed, and OSError for what the disk refuses."""

    def __init__(self, root: Path, limit: int, tell: TellSystem | None = None) -> None:
        """`tell` hears, in a thread, of what is evicted."""
        self._folders = Folders(root)
        self._room = Room(self._folders, limit, tell)
        self._temporary: tuple[Path, Pin] | None = None
        self._recent: dict[str, str] = {}
        self._secret = b""

    def open(self) -> None:
        """Make the folders, for this user alone unless they are there already, and sweep what dead processes left."""
        self._folders.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folders.root.stat().st_mode & OTHERS:
            log.warning("cache.open_to_others", folder=str(self._folders.root), advice="chmod 700, if nobody needs it")
        for folder in (self._folders.incoming, self._folders.claims, self._folders.temporary):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._room.bin.open()
        with self._room.locked():
            self._secret = self._read_secret()
            self._sweep()

    def close(self) -> None:
        """Remove our folder of temporary files."""
        if self._temporary is not None:
            path, pin = self._temporary
            remove(path)
            pin.release()
            self._temporary = None

    def seal(self, text: str) -> str:
        """A digest that stands for a secret text; without the cache's own secret nobody can guess at what it is of."""
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    # ------------------------------------------------------------------------------------------------ copies

    def find(self, slot: Slot) -> Copy | None:
        """The newest whole copy in a slot, pinned, its use noted; None when there is none."""
        likely = slot.key + slot.ending if slot.ending else self._recent.get(slot.key)
        if likely is not None and (copy := self._open(likely)) is not None:
            return copy
        copies = [copy for name in self._names(slot.key) if (copy := self._open(name)) is not None]
        newest = max(copies, key=lambda copy: copy.card.cached_at, default=None)
        for copy in copies:
            if copy is not newest:
                copy.release()
        if newest is not None:
            self._recent[slot.key] = newest.path.name
            if len(self._recent) > MAX_RECENT:
                self._recent.clear()
        return newest

    def again(self, copy: Copy) -> Copy | None:
        """A second pin on a copy that is pinned."""
        return self._open(copy.path.name)

    def confirm(self, copy: Copy, checked_at: float) -> None:
        """Note that the origin still gives this file. A full disk costs the note, not the file."""
        with contextlib.suppress(OSError, StorageFailed), self._room.locked():
            if (card := read_card(copy.path)) is not None:
                self._write_card(copy.path, replace(card, checked_at=checked_at))

    def note_sha256(self, copy: Copy, sha256: str) -> Card:
        """Note the checksum of a copy; the answer is its card with it. A full disk costs the note alone."""
        with contextlib.suppress(OSError, StorageFailed), self._room.locked():
            if (card := read_card(copy.path)) is not None:
                self._write_card(copy.path, replace(card, sha256=sha256))
        return replace(copy.card, sha256=sha256)

    def link(self, path: Path, destination: Path) -> None:
        """Place a symlink to a cached file, or adopt one or a copy that is there; eviction removes it.

        Raises NotFound when the file is not in the cache, Conflict when something else lies at the destination.
        """
        with self._room.locked():
            card = read_card(path) if path.parent == self._folders.root else None
            if card is None:
                raise NotFound("The file is not in the download cache any more.")
            if destination.parent.resolve() / destination.name == path.resolve():
                return
            there = find_link(path, destination)
            if there is None and destination.exists():
                raise PlaceTaken(f"Something else lies at {destination.name} in the folder of models.")
            link = there or Link(str(destination))
            if link not in card.links:
                others = (known for known in card.links if known.path != link.path)
                self._write_card(path, replace(card, links=(*others, link)))
            if there is None:
                destination.parent.mkdir(parents=True, exist_ok=True)
                destination.unlink(missing_ok=True)
                destination.symlink_to(path)

    # --------------------------------------------------------------------------------------------- downloads

    def claim(self, slot: Slot) -> Claim | None:
        """The right to fill a slot, or None while somebody else has it."""
        return Claim.take(self._folders.claims / slot.key)

    def progress(self, slot: Slot) -> tuple[int, int | None]:
        """How far the holder of the claim is."""
        received, total, _ = read_note(self._folders.claims / slot.key)
        return received, total

    def incoming(self, slot: Slot) -> Path:
        """Where the holder of the claim writes."""
        return self._folders.incoming / slot.key

    def reserve(self, slot: Slot, claim: Claim, size: int, ahead: int = 0) -> None:
        """Make room for a download of this size and keep it free, with some `ahead` if there is so much.

        Raises StorageFailed, TooLarge."""
        with self._room.locked():
            try:
                self._room.make(size + ahead, slot.key)
            except (StorageFailed, TooLarge):
                if not ahead:
                    raise
                ahead = 0
                self._room.make(size, slot.key)
            claim.reserved = size + ahead
            claim.note(*read_note(claim.path)[:2])

    def take_in(self, slot: Slot, claim: Claim, card: Card, ending: str) -> Copy:
        """Move what arrived into its slot, with its side-car, pinned. Older copies go, at once or when unused."""
        arrived = self.incoming(slot)
        pin = Pin.take(arrived)
        if pin is None:
            raise StorageFailed("The download cache lost a file that had just arrived.")
        try:
            _let_read(arrived)
            facts = pin.stat()
            size = card.size if card.is_folder else facts.st_size
            card = replace(card, size=size, modified_ns=facts.st_mtime_ns)
            with self._room.locked():
                self._room.make(size, slot.key)
                path = self._place(slot, ending)
                self._room.add(size + len(card.write()))
                self._write_card(path, card)
                arrived.rename(path)
                claim.reserved = 0
        except BaseException:
            pin.release()
            raise
        self.discard(slot)
        return Copy(path, card, pin)

    def discard(self, slot: Slot) -> None:
        """Remove what a download left on its way; for the holder of the claim."""
        arrived = self.incoming(slot)
        for path in (arrived, arrived.with_name(arrived.name + RESUME_ENDING)):
            remove(path)

    @property
    def scratch(self) -> Path:
        """This process's folder of temporary files; it goes when we close, or with the next start after a crash."""
        if self._temporary is None:
            self._temporary = self._make_temporary()
        return self._temporary[0]

    def temporary(self) -> Path:
        """A fresh path for a file that is not kept; whoever asked removes it."""
        return self.scratch / secrets.token_hex(8)

    # ------------------------------------------------------------------------------------------------ inside

    def _names(self, key: str) -> list[str]:
        return [name for name in os.listdir(self._folders.root) if name.startswith(key) and is_entry(name)]  # noqa: PTH208  (names alone, and quickly)

    def _open(self, name: str) -> Copy | None:
        path = self._folders.root / name
        if (pin := Pin.take(path)) is None:
            return None
        card, facts = read_card(path), pin.stat()
        if card is None or card.superseded or not _describes(card, facts):
            pin.release()
            return None
        with contextlib.suppress(OSError):  # the copy is good, whether or not its use can be noted
            os.utime(card_path(path))
        return Copy(path, card, pin)

    def _place(self, slot: Slot, ending: str) -> Path:
        """A free name in the slot. Older copies that somebody uses keep theirs and are marked."""
        gone = False
        for path in [self._folders.root / name for name in self._names(slot.key)]:
            if self._room.remove_unused(path):
                gone = True
            elif (card := read_card(path)) is not None:
                self._write_card(path, replace(card, superseded=True))
        if gone:
            self._room.count()
        path, count = self._folders.root / f"{slot.key}{ending}", 1
        while path.exists():
            count += 1
            path = self._folders.root / f"{slot.key}-{count}{ending}"
        return path

    def _write_card(self, path: Path, card: Card) -> None:
        """Under the room lock, so that one name for what is not yet whole is enough."""
        fresh = self._folders.root / ".card"
        try:
            fresh.write_bytes(card.write())
            fresh.replace(card_path(path))
        finally:
            fresh.unlink(missing_ok=True)

    def _read_secret(self) -> bytes:
        """The secret of this cache, made by whoever opens it first; under the room lock."""
        path = self._folders.root / ".secret"
        try:
            if len(kept := path.read_bytes()) == SECRET_BYTES:
                return kept
        except FileNotFoundError:
            pass
        made = secrets.token_bytes(SECRET_BYTES)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(made)
        return made

    def _make_temporary(self) -> tuple[Path, Pin]:
        while True:
            path = self._folders.temporary / secrets.token_hex(8)
            path.mkdir(mode=0o700)
            if (pin := Pin.take(path)) is not None:
                return path, pin

    def _sweep(self) -> None:
        for path in list(self._folders.temporary.iterdir()):
            self._room.remove_unused(path)
        for path in list(self._folders.incoming.iterdir()):
            if not is_held(self._folders.claims / path.name[:KEY_LENGTH]) and _is_abandoned(path):
                self._drop_partial(path)
        for path in list(self._folders.claims.iterdir()):
            if (claim := Claim.take(path)) is not None:
                claim.release()
        for path in list(self._folders.root.glob(f"*{CARD_ENDING}")):
            file = path.with_name(path.name.removesuffix(CARD_ENDING))
            if not is_entry(file.name):
                continue
            if not file.exists():
                path.unlink(missing_ok=True)
            elif (card := read_card(file)) is not None and card.superseded:
                self._room.remove_unused(file)
        self._room.count()
        self._room.make(0)

    def _drop_partial(self, path: Path) -> None:
        if (claim := Claim.take(self._folders.claims / path.name[:KEY_LENGTH])) is not None:
            self._room.bin.take(path)
            claim.release()


def _is_abandoned(path: Path) -> bool:
    """Whether nobody goes on with what a broken download left; what goes away meanwhile somebody else looks after."""
    try:
        age = time.time() - path.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return False
    return age > PARTIAL_SECONDS


def _let_read(path: Path) -> None:
    """However a source wrote it: who may enter the folder of the cache may read what is in it, and so may the engine of
    another user by a hard link."""
    everything = (path, *path.rglob("*")) if path.is_dir() else (path,)
    for found in everything:
        if not found.is_symlink():
            found.chmod(FOLDER_MODE if found.is_dir() else FILE_MODE)


def _describes(card: Card, facts: os.stat_result) -> bool:
    if card.is_folder:
        return True
    return (card.size, card.modified_ns) == (facts.st_size, facts.st_mtime_ns)
