"""Work on parts of a picture, shared out over a few threads.

NumPy releases the interpreter's lock in its loops, and what a small part needs between two loops stays in the cache.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from threading import Lock
from typing import TypeVar

Part = TypeVar("Part")

# More would only wait for memory.
MOST_THREADS = 4
# Samples that a part should have: what is made of them fits into a core's cache, and the calls do not count.
PART_SAMPLES = 1 << 16


def share_out(parts: Iterator[Part], work: Callable[[Part], object]) -> None:
    """Call `work` with every part; the parts are made one at a time and in order. Raises what `work` raises.

    The caller works too and does not wait for a free thread, so that a busy pool only makes it slower.
    """
    turn = Lock()

    def run() -> None:
        while True:
            with turn:
                part = next(parts, None)
            if part is None:
                return
            work(part)

    threads = _threads()
    # NumPy's error state and the node's context belong to the caller's context.
    futures = [_pool().submit(copy_context().run, run) for _ in range(threads - 1)]
    try:
        run()
    finally:
        begun = [future for future in futures if not future.cancel()]
        failures = [future.exception() for future in begun]
    for failure in filter(None, failures):
        raise failure


def each_band(count: int, row_samples: int, work: Callable[[slice], object]) -> None:
    """Call `work` with slices that cover 0 ... count - 1, each of as many rows as make a part of good size."""
    size = max(1, PART_SAMPLES // max(1, row_samples))
    if count <= size:
        work(slice(0, count))
        return
    share_out((slice(start, min(start + size, count)) for start in range(0, count, size)), work)


@cache
def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, MOST_THREADS)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, _threads() - 1), thread_name_prefix="bands")
