"""Files that arrive in pieces."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.pieces import PiecedFile
from comfyserve.fetch.source import nobody

Write = Callable[[memoryview], Awaitable[None]]


@pytest.mark.parametrize("size", [1000, 5_000_000])
async def test_what_drips_is_given_up(tmp_path: Path, size: int) -> None:
    """It may send its bytes often enough for every other clock."""
    file = PiecedFile(tmp_path / "f", size, "state", nobody, 1_000_000, slow_seconds=0.2)

    async def drip(start: int, end: int, write: Write) -> None:
        for _ in range(start, end):
            await write(memoryview(b"x"))
            await asyncio.sleep(0.1)

    with pytest.raises(FetchFailed, match="bytes a second") as failed:
        async with asyncio.timeout(20):
            await file.fill(drip)
    assert failed.value.retryable


async def test_what_comes_at_a_pace_may_take_longer(tmp_path: Path) -> None:
    file = PiecedFile(tmp_path / "f", 8_000_000, "state", nobody, 2_000_000, slow_seconds=0.3)

    async def steady(start: int, end: int, write: Write) -> None:
        for at in range(start, end, 20_000):
            await write(memoryview(bytes(min(20_000, end - at))))
            await asyncio.sleep(0.01)

    whole = await file.fill(steady)
    assert whole.head == bytes(64)
    assert (tmp_path / "f").stat().st_size == 8_000_000
