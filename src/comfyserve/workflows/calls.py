"""Calls of code that is not ours: in threads and a loop of its own, with a time limit."""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """A call did not end in time, or none could begin."""


class Threads:
    """Runs functions in daemon threads, at most so many at a time, and coroutine functions in one more that has an
    event loop. A function that never ends cannot be stopped: it keeps its place here, and a core if it computes; it
    does not keep the program from ending. A coroutine that blocks holds up the others, and nothing of ours."""

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, function: Callable[..., T], *args: Any, seconds: float) -> T:
        """What the function gives or raises. Raises TookTooLong."""
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            raise TookTooLong(f"earlier calls have taken all places for longer than {seconds:g} s") from None
        ended = self._begun(function, args)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(ended)
        except TimeoutError:
            if ended.done():
                return ended.result()
            raise TookTooLong(f"it took longer than {seconds:g} s") from None

    async def call_async(self, function: Callable[..., Awaitable[T]], *args: Any, seconds: float) -> T:
        """What the coroutine function gives or raises; it is cancelled after these seconds. Raises TookTooLong."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_run, args=(self._loop,), name="workflow-loop", daemon=True).start()
        ended = asyncio.run_coroutine_threadsafe(_outcome(function, args), self._loop)
        try:
            async with asyncio.timeout(seconds) as clock:
                return await asyncio.wrap_future(ended)
        except TimeoutError:
            if not clock.expired():
                raise
            raise TookTooLong(f"it took longer than {seconds:g} s") from None

    def close(self) -> None:
        """End the loop as soon as nothing blocks it."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _begun(self, function: Callable[..., T], args: tuple[Any, ...]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()
        ended.add_done_callback(lambda future: future.cancelled() or future.exception())
        context = contextvars.copy_context()

        def settle(outcome: T | None, error: BaseException | None) -> None:
            self._places.release()
            if error is not None:
                ended.set_exception(error)
            else:
                ended.set_result(outcome)  # type: ignore[arg-type]  # the outcome is a T where there is no error

        def run() -> None:
            outcome, error = None, None
            try:
                outcome = context.run(function, *args)
            except BaseException as raised:  # a file that calls sys.exit() ends its load, not the program
                error = _kept(raised)
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(settle, outcome, error)

        threading.Thread(target=run, name="workflow", daemon=True).start()
        return ended


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop run until it is stopped, and what is left in it end."""
    try:
        loop.run_forever()
        loop.run_until_complete(_ended(asyncio.all_tasks(loop)))
    finally:
        loop.close()


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _outcome(function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    try:
        return await function(*args)
    except (SystemExit, KeyboardInterrupt) as error:  # these would end the loop
        raise _kept(error) from error


def _kept(error: BaseException) -> Exception:
    """An exception that a future may hold; what would end the program or the task is only told."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
