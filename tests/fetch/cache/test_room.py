"""The cache stays within its limit: the longest unused goes, what is in use stays, room is made before."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from comfyserve.core.errors import Conflict, FetchFailed, NotFound, StorageFailed, TooLarge
from comfyserve.fetch.cache.locks import Claim
from comfyserve.fetch.cache.names import slot_of
from tests.fetch.cache.conftest import Bench, until
from tests.fetch.cache.scripted import File

CARD = 700
"""More than a side-car takes in these tests."""


def url(number: int) -> str:
    return f"http://host.example/{number}.bin"


def name(number: int) -> str:
    return f"{slot_of(url(number)).key}.bin"


async def read(bench: Bench, number: int) -> Path:
    async with bench.fetching.fetch(url(number), purpose="model") as file:
        path = file.path
        used = bench.now + number  # what the file system's clock would tell, were a test that slow
        os.utime(path.with_name(path.name + ".meta"), (used, used))
    return path


def fill(bench: Bench, numbers: range, size: int) -> None:
    bench.source.files |= {url(number): File(bytes([number]) * size) for number in numbers}


async def test_the_longest_unused_goes_first(bench: Bench) -> None:
    bench.fetching = bench.build(3 * (100_000 + CARD))
    fill(bench, range(5), 100_000)
    for number in (0, 1, 2):
        await read(bench, number)
    bench.now += 10
    await read(bench, 0)
    await read(bench, 3)
    assert bench.names() == sorted(map(name, (0, 2, 3)))
    await read(bench, 4)
    assert bench.names() == sorted(map(name, (0, 3, 4)))
    assert len(list(bench.folder.glob("*.meta"))) == 3, "a side-car goes with its file"


async def test_what_is_in_use_stays_and_a_cache_full_of_it_says_so(bench: Bench) -> None:
    bench.fetching = bench.build(2 * (100_000 + CARD))
    fill(bench, range(4), 100_000)
    async with bench.fetching.fetch(url(0)) as first:
        await read(bench, 1)
        await read(bench, 2)
        assert bench.names() == sorted(map(name, (0, 2)))
        async with bench.fetching.fetch(url(2)) as second:
            with pytest.raises(StorageFailed, match=r"no room for 100000 bytes.*in use.*cache_bytes"):
                await read(bench, 3)
            assert first.path.stat().st_size == second.path.stat().st_size == 100_000
    assert bench.partials() == []
    await read(bench, 3)


async def test_nothing_is_evicted_for_what_cannot_fit(bench: Bench) -> None:
    bench.fetching = bench.build(200_000)
    fill(bench, range(2), 100_000)
    bench.source.files[url(2)] = File(b"x" * 200_001)
    await read(bench, 0)
    with pytest.raises(TooLarge, match="needs 200001 bytes, but the download cache may hold 200000"):
        await read(bench, 2)
    assert bench.names() == [name(0)]


async def test_room_is_made_before_the_bytes_arrive(bench: Bench) -> None:
    bench.fetching = bench.build(2 * (100_000 + CARD))
    fill(bench, range(2), 100_000)
    await read(bench, 0)
    await read(bench, 1)
    gate = asyncio.Event()
    bench.source.files[url(2)] = File(b"x" * 150_000, gate=gate)
    reading = asyncio.create_task(read(bench, 2))
    await until(lambda: bench.names() == [])
    assert not reading.done(), "half of it has arrived, and all of its room is there"
    gate.set()
    await reading


async def test_downloads_on_their_way_count(bench: Bench) -> None:
    bench.fetching = bench.build(250_000)
    gate = asyncio.Event()
    fill(bench, range(3), 100_000)
    await read(bench, 0)
    bench.source.files[url(1)].gate = gate
    bench.source.files[url(2)].content = b"x" * 160_000
    reading = asyncio.create_task(read(bench, 1))
    claim = bench.folder / ".locks" / slot_of(url(1)).key
    await until(lambda: claim.exists() and claim.read_text().split()[-1:] == ["100000"])
    with pytest.raises(StorageFailed, match="no room"):
        await read(bench, 2)
    assert bench.names() == [name(0)]
    gate.set()
    await reading
    await read(bench, 2)


async def test_a_size_that_is_told_late_counts_all_the_same(bench: Bench) -> None:
    bench.fetching = bench.build(250_000)
    fill(bench, range(2), 100_000)
    bench.source.files[url(2)] = File(b"x" * 240_000, tells_size=False)
    bench.source.files[url(3)] = File(b"x" * 260_000, tells_size=False)
    await read(bench, 0)
    await read(bench, 2)
    assert bench.names() == [name(2)]
    with pytest.raises(TooLarge, match="cache_bytes"):
        await read(bench, 3)
    assert bench.partials() == []


async def test_what_a_broken_download_left_makes_room(bench: Bench) -> None:
    bench.fetching = bench.build(250_000)
    fill(bench, range(2), 100_000)
    await read(bench, 0)
    left = bench.folder / ".incoming" / slot_of(url(7)).key
    left.write_bytes(b"x" * 100_000)
    await read(bench, 1)
    assert not left.exists() and bench.names() == sorted(map(name, (0, 1)))


async def test_a_lower_limit_holds_from_the_next_start(bench: Bench) -> None:
    fill(bench, range(3), 100_000)
    for number in range(3):
        await read(bench, number)
    bench.build(100_000 + CARD)
    assert bench.names() == [name(2)]


async def test_links_go_with_their_file(bench: Bench, tmp_path: Path) -> None:
    bench.fetching = bench.build(100_000 + CARD)
    fill(bench, range(2), 100_000)
    link, other = tmp_path / "models" / "loras" / "a.bin", tmp_path / "other.bin"
    async with bench.fetching.fetch(url(0), purpose="model") as file:
        await bench.fetching.link(file.path, link)
        await bench.fetching.link(file.path, link)
        other.symlink_to(file.path)
        await bench.fetching.link(file.path, other)
        assert link.read_bytes() == file.path.read_bytes()
    other.unlink()
    other.write_bytes(b"somebody else's")
    await read(bench, 1)
    assert not link.is_symlink() and other.read_bytes() == b"somebody else's"


async def test_a_folder_is_kept_and_evicted_as_one(bench: Bench, tmp_path: Path) -> None:
    bench.fetching = bench.build(100_000 + CARD)
    fill(bench, range(2), 100_000)
    bench.source.files[url(0)].is_folder = True
    link = tmp_path / "diffusers" / "repo"
    for cached in (False, True):
        async with bench.fetching.fetch(url(0), purpose="model") as found:
            assert (found.is_folder, found.cached, found.filename) == (True, cached, "repo")
            assert (found.path / "unet" / "model.bin").stat().st_size == found.size == 100_000
            await bench.fetching.link(found.path, link)
            with pytest.raises(StorageFailed, match="in use"):
                await read(bench, 1)
    await read(bench, 1)
    assert bench.names() == [name(1)] and bench.partials() == []
    assert not link.is_symlink()


@pytest.mark.parametrize("copy", [os.link, shutil.copy2], ids=["hard link", "copy"])
@pytest.mark.parametrize("whose", ["ours", "somebody else's"])
async def test_a_copy_goes_with_its_file_while_it_is_ours(
    bench: Bench, tmp_path: Path, copy: Callable[[Path, Path], object], whose: str
) -> None:
    bench.fetching = bench.build(100_000 + 2 * CARD)
    fill(bench, range(2), 100_000)
    place = tmp_path / "a.bin"
    async with bench.fetching.fetch(url(0), purpose="model") as file:
        copy(file.path, place)
        await bench.fetching.link(file.path, place)
    if whose != "ours":
        place.unlink()
        place.write_bytes(b"x" * 100_000)
    await read(bench, 1)
    assert bench.names() == [name(1)]
    assert place.exists() is (whose != "ours")


async def test_a_copied_folder_goes_with_its_own(bench: Bench, tmp_path: Path) -> None:
    bench.fetching = bench.build(100_000 + 2 * CARD)
    fill(bench, range(2), 100_000)
    bench.source.files[url(0)].is_folder = True
    place = tmp_path / "repo"
    async with bench.fetching.fetch(url(0), purpose="model") as found:
        shutil.copytree(found.path, place)
        await bench.fetching.link(found.path, place)
    await read(bench, 1)
    assert bench.names() == [name(1)] and not place.exists()


async def test_a_file_offered_where_it_lies_is_no_link(bench: Bench, tmp_path: Path) -> None:
    fill(bench, range(1), 10)
    (tmp_path / "loras").symlink_to(bench.folder)
    async with bench.fetching.fetch(url(0), purpose="model") as file:
        await bench.fetching.link(file.path, tmp_path / "loras" / file.path.name)
    assert (await read(bench, 0)).read_bytes()


async def test_a_link_replaces_a_dead_one_and_nothing_else(bench: Bench, tmp_path: Path) -> None:
    fill(bench, range(1), 10)
    dead, taken = tmp_path / "dead.bin", tmp_path / "taken.bin"
    dead.symlink_to(tmp_path / "gone")
    taken.write_bytes(b"x")
    async with bench.fetching.fetch(url(0), purpose="model") as file:
        await bench.fetching.link(file.path, dead)
        assert dead.read_bytes() == file.path.read_bytes()
        with pytest.raises(Conflict, match=r"taken\.bin"):
            await bench.fetching.link(file.path, taken)
        with pytest.raises(NotFound):
            await bench.fetching.link(tmp_path / "taken.bin", dead)
    assert taken.read_bytes() == b"x"


async def test_a_start_sweeps_what_dead_processes_left(bench: Bench) -> None:
    fill(bench, range(1), 10)
    path = await read(bench, 0)
    key = slot_of(url(8)).key
    old, young = bench.folder / ".incoming" / key, bench.folder / ".incoming" / slot_of(url(9)).key
    for partial in (old, young):
        partial.write_bytes(b"half")
    os.utime(old, (1, 1))
    dead = bench.folder / ".temporary" / "dead"
    dead.mkdir()
    (dead / "file").write_bytes(b"x")
    orphan = bench.folder / f"{key}.bin.meta"
    orphan.write_text("{}")
    (bench.folder / ".locks" / key).write_text("1 2 3")
    foreign = bench.folder / "notes.txt"
    foreign.write_text("not ours")
    bench.build()
    assert path.exists() and foreign.exists() and young.exists()
    assert not any(gone.exists() for gone in (old, dead, orphan, bench.folder / ".locks" / key))


async def test_a_start_leaves_alone_what_others_work_with(bench: Bench) -> None:
    incoming, key = bench.folder / ".incoming", slot_of(url(8)).key
    gone, held = incoming / f"{key}.resume.new", incoming / slot_of(url(9)).key
    gone.symlink_to(incoming / "gone")
    held.write_bytes(b"half")
    os.utime(held, (1, 1))
    claim = Claim.take(bench.folder / ".locks" / held.name)
    assert claim is not None
    bench.build()
    claim.release()
    assert held.exists()


async def test_files_can_be_read_by_whoever_may_enter_the_folder(bench: Bench, tmp_path: Path) -> None:
    fill(bench, range(2), 10)
    bench.source.files[url(1)].is_folder = True
    mask = os.umask(0o077)
    try:
        file, folder = await read(bench, 0), await read(bench, 1)
    finally:
        os.umask(mask)
    modes = [
        path.stat().st_mode & 0o777
        for path in (bench.folder, file, folder, folder / "unet", folder / "unet" / "model.bin")
    ]
    assert modes == [0o700, 0o644, 0o755, 0o755, 0o644]
    with structlog.testing.capture_logs() as events:
        bench.build()
        bench.folder.chmod(0o750)
        bench.build()
    assert [event["event"] for event in events] == ["cache.open_to_others"]
    assert bench.folder.stat().st_mode & 0o777 == 0o750, "the operator made it so"


async def test_a_changed_file_is_fetched_again(bench: Bench) -> None:
    fill(bench, range(1), 10)
    path = await read(bench, 0)
    path.write_bytes(b"0123456789")
    assert (await read(bench, 0)).read_bytes() == b"\0" * 10
    path.with_name(path.name + ".meta").write_text("{ broken")
    assert (await read(bench, 0)).read_bytes() == b"\0" * 10
    assert bench.source.downloads[url(0)] == 3


async def test_a_folder_that_cannot_be_written_is_told(bench: Bench) -> None:
    fill(bench, range(1), 10)
    bench.folder.joinpath(".locks").rmdir()
    with pytest.raises(StorageFailed, match="cannot be written"):
        await read(bench, 0)
    bench.folder.joinpath(".locks").write_text("")
    with pytest.raises((StorageFailed, FetchFailed)):
        await read(bench, 0)
