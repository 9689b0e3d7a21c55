"""Blocking work in threads that are never left alone."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(
    work: Callable[[], Result],
    *,
    executor: Executor | None = None,
    stop: Callable[[], None] | None = None,
    undo: Callable[[Result], None] | None = None,
) -> Result:
    """Run blocking work in a thread. Who is cancelled meanwhile waits for its end, since it may be writing a file.

    `stop` makes that end come soon; `undo` gets the result that nobody takes. Both are called in the event loop.
    """
    future = asyncio.get_running_loop().run_in_executor(executor, partial(copy_context().run, work))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        while not future.done():
            with suppress(asyncio.CancelledError):  # a second cancel changes nothing; the first is passed on below
                await asyncio.wait([future])
        if not future.cancelled() and future.exception() is None and undo is not None:
            undo(future.result())
        raise
