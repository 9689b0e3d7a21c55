"""Threads that are waited for."""

import asyncio
import os
from pathlib import Path
from threading import Event

import pytest

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http.limits import HttpLimits
from comfyserve.fetch.http.source import HttpSource
from comfyserve.fetch.source import Order
from comfyserve.fetch.threads import in_thread


async def test_who_is_cancelled_waits_for_the_thread_however_often() -> None:
    begun, stopped, ended = asyncio.Event(), Event(), []
    loop = asyncio.get_running_loop()
    unused: list[str] = []

    def work() -> str:
        loop.call_soon_threadsafe(begun.set)
        stopped.wait(10)
        ended.append(True)
        return "result"

    task = asyncio.create_task(in_thread(work, undo=unused.append))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    stopped.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
    assert unused == ["result"]


async def test_a_cancel_stops_what_can_be_stopped() -> None:
    begun, stopped = asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        assert stopped.wait(10)
        raise FetchFailed("It was stopped.")

    task = asyncio.create_task(in_thread(work, stop=stopped.set))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_result_is_kept_by_who_waits() -> None:
    undone: list[int] = []
    assert await in_thread(lambda: 5, undo=undone.append) == 5
    assert undone == []


async def test_a_cancel_while_the_file_opens_leaves_no_descriptor(tmp_path: Path) -> None:
    source = HttpSource(Guard("on"), HttpLimits())
    try:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (the count alone)
        for number in range(20):
            path = tmp_path / str(number)
            task = asyncio.create_task(source.download(Order("http://127.0.0.1:1/f", 10), path))
            await asyncio.sleep(0)  # the download has begun, and waits for the thread that opens
            task.cancel()
            await asyncio.wait([task])
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    finally:
        await source.close()
