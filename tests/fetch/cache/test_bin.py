"""What goes is out of sight at once, and deleted when nobody waits."""

from pathlib import Path

import pytest

from comfyserve.fetch.cache.locks import Claim
from comfyserve.fetch.cache.room import Folders, Room
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.disk import size_on_disk

KEY = "k" * 32


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Those of an empty cache."""
    Store(tmp_path / "cache", 0).open()
    return Folders(tmp_path / "cache")


@pytest.fixture
def room(folders: Folders) -> Room:
    """Its room, as another process has it."""
    made = Room(folders, 0)
    made.bin.open()
    return made


def binned(folders: Folders) -> int:
    return len(list(folders.bin.iterdir()))


def folder_at(path: Path) -> Path:
    """A folder with a file in it."""
    path.mkdir()
    (path / "file").write_bytes(b"x" * 10_000)
    return path


def test_files_and_folders_are_deleted_after_the_lock_is_released(folders: Folders, room: Room) -> None:
    entry = folder_at(folders.root / KEY)
    partial = folders.incoming / ("p" * 32)
    partial.write_bytes(b"x")
    with room.locked():
        assert room.remove_unused(entry)
        room.bin.take(partial)
        room.bin.take(partial)  # is gone
        assert not entry.exists()
        assert not partial.exists()
        assert binned(folders) == 2
    assert binned(folders) == 0


def test_what_a_crash_left_is_in_nobodys_way(folders: Folders, room: Room) -> None:
    for _ in range(2):
        with room.locked():
            assert room.remove_unused(folder_at(folders.root / KEY))
            folder_at(folders.bin / "crashed")
        assert binned(folders) == 1
        Store(folders.root, 0).open()
        assert binned(folders) == 0


def test_the_bin_is_emptied_when_there_is_no_room_either(folders: Folders, room: Room) -> None:
    folder_at(folders.root / KEY)
    with pytest.raises(RuntimeError, match="fault"), room.locked():
        room.remove_unused(folders.root / KEY)
        raise RuntimeError("fault")
    assert binned(folders) == 0


def test_abandoned_downloads_are_counted_and_go(folders: Folders, tmp_path: Path) -> None:
    """Where a link of theirs leads is not counted."""
    folder_at(tmp_path / "elsewhere")
    abandoned = folder_at(folders.incoming / KEY)
    (abandoned / "out").symlink_to(tmp_path / "elsewhere")
    assert size_on_disk(abandoned) < 11_000
    small = Room(folders, 15_000)
    with small.locked():
        small.make(12_000)
        assert not abandoned.exists()
    assert binned(folders) == 0
    assert (tmp_path / "elsewhere" / "file").exists()


def test_a_claimed_download_stays(folders: Folders) -> None:
    coming = folder_at(folders.incoming / KEY)
    claim = Claim.take(folders.claims / KEY)
    assert claim is not None
    Store(folders.root, 0).open()
    assert coming.exists()
    claim.release()
