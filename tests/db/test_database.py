"""Writes share durable commits and stay apart from each other all the same."""

import asyncio
import signal
import sys
import threading
from pathlib import Path
from stat import S_IMODE
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from comfyserve.core.errors import InvalidInput
from comfyserve.db.database import Database
from comfyserve.db.tables import workspaces
from comfyserve.testing import StepClock

NOW = StepClock()()


def insert(name: str) -> Any:
    """A write that makes a workspace."""

    def write(connection: Connection) -> str:
        connection.execute(workspaces.insert(), [{"id": name, "name": name, "created_at": NOW}])
        return name

    return write


def names(connection: Connection) -> list[str]:
    """The workspaces there are."""
    return list(connection.execute(select(workspaces.c.id).order_by(workspaces.c.id)).scalars())


class Gate:
    """Holds the writing thread, so that the writes behind it arrive together."""

    def __init__(self, db: Database) -> None:
        self.begun, self._open = threading.Event(), threading.Event()
        self._task = asyncio.ensure_future(db.write(self._hold))

    async def release(self) -> None:
        """Let the held write end."""
        self._open.set()
        await self._task

    def _hold(self, _connection: Connection) -> None:
        self.begun.set()
        self._open.wait(10)


async def hold(db: Database) -> Gate:
    """A gate that is closed: its write has begun."""
    gate = Gate(db)
    await asyncio.to_thread(gate.begun.wait, 10)
    return gate


async def test_what_was_written_can_be_read(db: Database) -> None:
    assert await db.write(insert("a")) == "a"
    assert await db.read(names) == ["a"]


async def test_readers_cannot_write(db: Database) -> None:
    with pytest.raises(OperationalError):
        await db.read(insert("a"))


async def test_a_write_that_fails_alone_is_undone(db: Database) -> None:
    def fail(connection: Connection) -> None:
        insert("a")(connection)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await db.write(fail)
    assert await db.read(names) == []
    await db.write(insert("b"))
    assert await db.read(names) == ["b"]


async def test_a_write_that_fails_in_a_batch_takes_no_other_with_it(db: Database) -> None:
    def fail(connection: Connection) -> None:
        insert("half")(connection)
        raise KeyError("mine")

    gate = await hold(db)
    batch = [db.write(work) for work in (insert("a"), fail, insert("a"), insert("b"))]
    results = asyncio.gather(*batch, return_exceptions=True)
    await asyncio.sleep(0)
    await gate.release()
    first, second, third, fourth = await results
    assert (first, fourth) == ("a", "b")
    assert isinstance(second, KeyError)
    assert isinstance(third, IntegrityError)
    assert await db.read(names) == ["a", "b"]


async def test_a_write_that_fills_the_disk_takes_no_other_with_it(db: Database) -> None:
    """SQLite undoes the whole transaction then, not the one statement."""

    def bound(connection: Connection) -> None:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages + 8}"))

    await db.write(bound)
    gate = await hold(db)
    batch = [db.write(insert(name)) for name in ("a", "b", "too much" * 100_000, "c")]
    results = asyncio.gather(*batch, return_exceptions=True)
    await asyncio.sleep(0)
    await gate.release()
    first, second, third, fourth = await results
    assert (first, second, fourth) == ("a", "b", "c")
    assert isinstance(third, OperationalError)
    assert "full" in str(third.orig)
    assert await db.read(names) == ["a", "b", "c"]
    assert await db.write(insert("later")) == "later"


async def test_writes_that_arrive_together_share_a_commit(db: Database) -> None:
    transactions: list[object] = []

    def write(name: str) -> Any:
        def work(connection: Connection) -> None:
            insert(name)(connection)
            transactions.append(connection.get_transaction())

        return work

    gate = await hold(db)
    together = asyncio.gather(*(db.write(write(f"w{index}")) for index in range(20)))
    await asyncio.sleep(0)
    await gate.release()
    await together
    assert len(transactions) == 20
    assert len(set(transactions)) == 1


async def test_a_batch_is_bounded(tmp_path: Path) -> None:
    db = await Database.open(str(tmp_path / "small.db"), batch=4)
    transactions: list[object] = []

    def work(connection: Connection) -> None:
        transactions.append(connection.get_transaction())

    gate = await hold(db)
    together = asyncio.gather(*(db.write(work) for _ in range(10)))
    await asyncio.sleep(0)
    await gate.release()
    await together
    await db.close()
    sizes = [transactions.count(one) for one in dict.fromkeys(transactions)]
    assert sizes == [4, 4, 2]


async def test_a_cancelled_caller_leaves_the_others_alone(db: Database) -> None:
    gate = await hold(db)
    gone = asyncio.ensure_future(db.write(insert("gone")))
    stays = asyncio.ensure_future(db.write(insert("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    await gate.release()
    assert await stays == "stays"
    assert await db.read(names) == ["stays"]


async def test_closing_commits_what_waits(tmp_path: Path) -> None:
    path = str(tmp_path / "again.db")
    db = await Database.open(path)
    gate = await hold(db)
    waiting = asyncio.ensure_future(db.write(insert("late")))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(db.close())
    await gate.release()
    await closing
    assert await waiting == "late"
    with pytest.raises(RuntimeError):
        await db.write(insert("too late"))
    again = await Database.open(path)
    assert await again.read(names) == ["late"]
    await again.close()


async def test_commits_are_durable_and_keys_are_checked(db: Database) -> None:
    def pragmas(connection: Connection) -> list[Any]:
        wanted = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(text(f"PRAGMA {name}")).scalar() for name in wanted]

    assert await db.write(pragmas) == ["wal", 2, 1]


@pytest.mark.parametrize("url", ["", ":memory:", "postgresql+asyncpg://host/db", "nonsense://", "://x"])
async def test_other_databases_are_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(InvalidInput, match="SQLite"):
        await Database.open(url)


async def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    folder = tmp_path / "what? mode=ro&x#y%20z"
    folder.mkdir()
    db = await Database.open(str(folder / "test.db"))
    await db.write(insert("a"))
    await db.close()
    assert (folder / "test.db").is_file()


KILLED = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from comfyserve.db.database import Database
from comfyserve.db.tables import workspaces

def insert(name, die):
    def work(connection):
        connection.execute(workspaces.insert(), [{"id": name, "name": name, "created_at": datetime.now(UTC)}])
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
    return work

async def main():
    db = await Database.open(sys.argv[1])
    await db.write(insert("committed", False))
    await db.write(insert("lost", True))

asyncio.run(main())
"""


async def test_a_process_killed_in_a_transaction_leaves_whole_ones_only(tmp_path: Path) -> None:
    path = str(tmp_path / "killed.db")
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, path)
    assert await asyncio.wait_for(killed.wait(), 60) == -signal.SIGKILL
    db = await Database.open(path)
    assert await db.read(names) == ["committed"]
    assert await db.write(insert("next")) == "next"
    await db.close()


def modes_in(folder: Path) -> dict[str, int]:
    return {path.name: S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_the_files_of_a_new_database_are_its_owner_s_alone(tmp_path: Path) -> None:
    db = await Database.open(str(tmp_path / "new.db"))
    try:
        await db.write(insert("a"))
        assert modes_in(tmp_path) == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0o600)
    finally:
        await db.close()
