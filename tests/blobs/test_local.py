"""What is special about blobs on a local disk."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.blobs.local import INCOMING, STALE_SECONDS, LocalBlobs
from comfyserve.core.errors import StorageFailed
from tests.ports.blobs_suite import stream


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_a_key_is_a_path(tmp_path: Path) -> None:
    await LocalBlobs(tmp_path, sync_folders=True).put("runs/1/a.png", stream(b"x"))
    assert files(tmp_path) == ["runs/1/a.png"]


async def test_delete_leaves_no_empty_folders(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    await blobs.put("runs/1/a.png", stream(b"x"))
    await blobs.delete("runs/1/a.png")
    assert os.listdir(tmp_path) == [INCOMING]  # noqa: PTH208  (a look at the folder)


async def test_a_cancelled_put_leaves_nothing(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(LocalBlobs(tmp_path).put("a", endless()))
    await begun.wait()
    assert len(files(tmp_path)) == 1
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert files(tmp_path) == []


async def test_a_start_removes_what_dead_processes_left_and_nothing_else(tmp_path: Path) -> None:
    LocalBlobs(tmp_path)
    old, young = tmp_path / INCOMING / "old", tmp_path / INCOMING / "young"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (0, young.stat().st_mtime - STALE_SECONDS - 60))
    LocalBlobs(tmp_path)
    assert files(tmp_path) == [f"{INCOMING}/young"]


async def test_a_write_that_fails_is_storage_failed(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageFailed, match="cannot be read or written"):
            await blobs.put("a", stream(b"x" * 1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == []
