"""The door to the database: reads on a few threads, writes grouped into shared durable commits.

A statement is plain SQLAlchemy on a plain `Connection`, run in a thread of the database: nothing inside a transaction
can wait for the network or an engine, and a batch costs one hop between threads instead of several per statement.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from comfyserve.db.engine import Durability, make_private, reading_engine, writing_engine
from comfyserve.db.migrate import upgrade

T = TypeVar("T")

BATCH = 64
"""How many writes share one commit at most."""

READERS = 4


@dataclass
class _Write:
    work: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None

    def resolve(self) -> None:
        """Tell the caller, unless it has gone."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Database:
    """A database of one process. `open` migrates it; `close` finishes what was handed in."""

    def __init__(self, url: str, *, readers: int = READERS, batch: int = BATCH, durable: Durability = "disk") -> None:
        self._batch = batch
        self._writing: Engine = writing_engine(url, durable)
        self._reading: Engine = reading_engine(url, readers + 1)
        self._own = threading.local()
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="db-read")
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._serve, name="db-write", daemon=True)
        self._closed = False

    @classmethod
    async def open(
        cls, url: str, *, readers: int = READERS, batch: int = BATCH, durable: Durability = "disk"
    ) -> "Database":
        """Connect to `url` (a path or a URL of SQLite), bring its tables up to date and start the writer. `durable`:
        what a commit survives."""
        await asyncio.to_thread(make_private, url)
        database = await asyncio.to_thread(cls, url, readers=readers, batch=batch, durable=durable)
        await asyncio.to_thread(upgrade, database._writing)
        database._writer.start()
        return database

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reading connection; what it sees is one snapshot."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        """Read a few rows by their keys, on the spot.

        For look-ups on the path of every call: each takes a fraction of a millisecond, a hop to another thread and back
        takes several times that. Anything that scans belongs to `read`.
        """
        return self._read(work)

    async def version(self) -> int:
        """A number that changes when another process commits.

        It is asked on the writing connection, which does not count its own commits (PRAGMA data_version)."""
        return await self.write(lambda connection: connection.exec_driver_sql("PRAGMA data_version").scalar_one())

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return when it is durably committed.

        Writes that arrive while a commit is under way share the next one. What `work` raises undoes this write only
        and is raised here. `work` may be called twice, when another write of its commit fills the disk. A caller that
        is cancelled leaves the others alone; its own write may still be committed.
        """
        if self._closed:
            raise RuntimeError("The database is closed.")
        loop = asyncio.get_running_loop()
        write = _Write(work, loop, loop.create_future())
        self._queue.put(write)
        result: T = await write.future
        return result

    async def close(self) -> None:
        """Commit what waits, then let go of every connection."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._reading.dispose()
        self._writing.dispose()

    def _read(self, work: Callable[[Connection], T]) -> T:
        """Read on the connection of this thread: taking one from the pool anew costs as much as a small statement."""
        if (connection := getattr(self._own, "connection", None)) is None:
            connection = self._own.connection = self._reading.connect()
        with connection.begin():
            return work(connection)

    def _serve(self) -> None:
        with self._writing.connect() as connection:
            while (writes := self._gather()) is not None:
                _commit(connection, [write for write in writes if not write.future.cancelled()])
                _resolve(writes)

    def _gather(self) -> list[_Write] | None:
        first = self._queue.get()
        if first is None:
            return None
        writes = [first]
        while len(writes) < self._batch:
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                break
            if write is None:
                self._queue.put(None)
                break
            writes.append(write)
        return writes


class _Undone(Exception):
    """The whole transaction is undone, with everything that was written in it."""


def _commit(connection: Connection, writes: Sequence[_Write]) -> None:
    """Commit writes together. When one that fails takes the transaction with it, the others are done again, alone."""
    if not writes:
        return
    try:
        with connection.begin():
            for write in writes:
                _execute(connection, write, alone=len(writes) == 1)
    except _Undone:
        for write in writes:
            if write.error is None:
                _commit(connection, [write])
    except Exception as error:
        for write in writes:
            write.error = write.error or error


def _execute(connection: Connection, write: _Write, *, alone: bool) -> None:
    """Run one write in a savepoint of its own; a write that is alone needs none.

    SQLite undoes the whole transaction, not the statement, when the disk is full or fails
    (https://www.sqlite.org/lang_transaction.html, section 3); what came after would then be committed by itself.
    """
    try:
        if alone:
            _work(connection, write)
        else:
            with connection.begin_nested():
                _work(connection, write)
    except Exception as error:
        write.error = write.error or error
        if alone:
            raise _Undone from error
    if not _is_open(connection):
        write.error = write.error or RuntimeError("SQLite undid the transaction of a write that reported no error.")
        raise _Undone from write.error


def _work(connection: Connection, write: _Write) -> None:
    """Keep the error of the work itself: that of the savepoint, which is gone by then, says nothing."""
    try:
        write.result = write.work(connection)
    except Exception as error:
        write.error = error
        raise


def _is_open(connection: Connection) -> bool:
    """Whether SQLite still has the transaction that we began."""
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.in_transaction)


def _resolve(writes: Sequence[_Write]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
    for write in writes:
        by_loop.setdefault(write.loop, []).append(write)
    for loop, mine in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody is left to be told
            loop.call_soon_threadsafe(_resolve_all, mine)


def _resolve_all(writes: Sequence[_Write]) -> None:
    for write in writes:
        write.resolve()
