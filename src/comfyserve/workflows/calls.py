"""Calls of code that is not ours: in a thread of its own, with a time limit."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """A call did not end in time, or none could begin."""


class Threads:
    """Runs functions in daemon threads, at most so many at a time. One that never ends cannot be stopped: it keeps
    its place here, and does not keep the program from ending."""

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)

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


def _kept(error: BaseException) -> Exception:
    """An exception that a future may hold; what would end the program or the task is only told."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
