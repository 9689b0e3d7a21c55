"""What every Blobs adapter must do. A test class inherits this and brings a `blobs` fixture."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from comfyserve.core.errors import InvalidInput, NotFound, TooLarge
from comfyserve.ports import Blobs, StoredBlob

BIG = bytes(range(256)) * 4096 * 2


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(blobs: Blobs, key: str, **part: int) -> bytes:
    async with blobs.open(key, **part) as content:
        return b"".join([chunk async for chunk in content])


class BlobsSuite:
    """The promises of the port."""

    @pytest.mark.parametrize("data", [b"", b"small", BIG], ids=["empty", "small", "big"])
    async def test_what_was_put_can_be_read(self, blobs: Blobs, data: bytes) -> None:
        pieces = [data[at : at + 100_000] for at in range(0, len(data), 100_000)]
        stored = await blobs.put("runs/1/a.png", stream(*pieces))
        assert stored == StoredBlob("runs/1/a.png", len(data), hashlib.sha256(data).hexdigest())
        assert await read(blobs, "runs/1/a.png") == data
        assert await blobs.size("runs/1/a.png") == len(data)

    @pytest.mark.parametrize(
        ("start", "length"), [(0, 10), (5, None), (300_000, 700_000), (len(BIG) - 3, 100), (len(BIG) + 5, None), (7, 0)]
    )
    async def test_a_range_is_that_part(self, blobs: Blobs, start: int, length: int | None) -> None:
        await blobs.put("big", stream(BIG))
        end = None if length is None else start + length
        async with blobs.open("big", start=start, length=length) as content:
            assert b"".join([chunk async for chunk in content]) == BIG[start:end]

    async def test_no_chunk_is_large(self, blobs: Blobs) -> None:
        await blobs.put("big", stream(BIG))
        async with blobs.open("big") as content:
            assert max([len(chunk) async for chunk in content]) <= 1024 * 1024

    async def test_put_again_replaces(self, blobs: Blobs) -> None:
        await blobs.put("a", stream(b"one"))
        await blobs.put("a", stream(b"two"))
        assert await read(blobs, "a") == b"two"

    async def test_too_large_is_refused_and_leaves_nothing(self, blobs: Blobs) -> None:
        await blobs.put("exact", stream(b"12345"), limit=5)
        with pytest.raises(TooLarge):
            await blobs.put("a", stream(b"123", b"456"), limit=5)
        with pytest.raises(NotFound):
            await blobs.size("a")

    async def test_a_stream_that_breaks_leaves_the_old_blob(self, blobs: Blobs) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield BIG
            raise ConnectionResetError("gone")

        await blobs.put("a", stream(b"old"))
        with pytest.raises(ConnectionResetError):
            await blobs.put("a", broken())
        assert await read(blobs, "a") == b"old"

    async def test_nothing_is_visible_before_the_last_byte(self, blobs: Blobs) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield BIG
            begun.set()
            await go.wait()
            yield b"end"

        writing = asyncio.create_task(blobs.put("a", slow()))
        await begun.wait()
        with pytest.raises(NotFound):
            await blobs.size("a")
        go.set()
        await writing
        assert await blobs.size("a") == len(BIG) + 3

    async def test_an_absent_key_is_not_found(self, blobs: Blobs) -> None:
        await blobs.put("folder/a", stream(b"x"))
        for key in ("none", "folder", "folder/a/b"):
            with pytest.raises(NotFound):
                await blobs.size(key)
            with pytest.raises(NotFound):
                await read(blobs, key)

    async def test_delete_removes_and_is_quiet_when_absent(self, blobs: Blobs) -> None:
        await blobs.put("a/b", stream(b"x"))
        await blobs.put("a/c", stream(b"y"))
        await blobs.delete("a/b")
        await blobs.delete("a/b")
        await blobs.delete("never/there")
        with pytest.raises(NotFound):
            await blobs.size("a/b")
        assert await read(blobs, "a/c") == b"y"

    async def test_delete_below_removes_a_folder_and_nothing_else(self, blobs: Blobs) -> None:
        for key in ("runs/1/x/0.png", "runs/1/x/1.png", "runs/1/y/0.png", "runs/1/z", "runs/10/x/0.png", "runs/2"):
            await blobs.put(key, stream(b"x"))
        await blobs.delete_below("runs/1", keep=["runs/1/y/0.png", "runs/1/never"])
        assert await read(blobs, "runs/1/y/0.png") == b"x"
        for key in ("runs/1/x/0.png", "runs/1/x/1.png", "runs/1/z"):
            with pytest.raises(NotFound):
                await blobs.size(key)
        await blobs.delete_below("runs/1")
        await blobs.delete_below("runs/1")
        await blobs.delete_below("runs/2")
        with pytest.raises(NotFound):
            await blobs.size("runs/1/y/0.png")
        assert [await blobs.size(key) for key in ("runs/10/x/0.png", "runs/2")] == [1, 1]
        with pytest.raises(InvalidInput):
            await blobs.delete_below("../runs")

    @pytest.mark.parametrize(
        "key",
        ["", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".hidden", "a/.b", "a b", "a\\b", "ä", "a\n", "x" * 600],
    )
    async def test_what_is_no_key_is_refused(self, blobs: Blobs, key: str) -> None:
        with pytest.raises(InvalidInput):
            await blobs.put(key, stream(b"x"))
        with pytest.raises(InvalidInput):
            await read(blobs, key)
        with pytest.raises(InvalidInput):
            await blobs.delete(key)

    async def test_many_at_once(self, blobs: Blobs) -> None:
        await asyncio.gather(*(blobs.put(f"d/{n}", stream(b"%d" % n)) for n in range(30)))
        found = await asyncio.gather(*(read(blobs, f"d/{n}") for n in range(30)))
        assert found == [b"%d" % n for n in range(30)]
