"""Engines for SQLite: WAL, a durable commit, one writer, readers that can only read."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.db.types import dump_json

BUSY_MILLISECONDS = 10_000
"""How long another process may hold the write lock before a write fails."""

Durability = Literal["disk", "process"]
"""What a commit survives: a power cut (`disk`), or the death of any process."""

SYNCHRONOUS: Mapping[Durability, str] = {"disk": "PRAGMA synchronous=FULL", "process": "PRAGMA synchronous=NORMAL"}
"""In WAL mode NORMAL loses the last commits only when the system itself stops (https://sqlite.org/pragma.html)."""

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    f"PRAGMA busy_timeout={BUSY_MILLISECONDS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA journal_size_limit=67108864",
)


def database_url(value: str) -> URL:
    """Read the setting: a path, or the URL of a database we can use. Raises InvalidInput for any other."""
    url = _url(value)
    if url is None or url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        raise InvalidInput(
            "The database must be the path of an SQLite file or a URL such as sqlite:///data/comfyserve.db.",
            place=Place(field="database"),
        )
    return url.set(drivername="sqlite+pysqlite")


def make_private(value: str) -> None:
    """Make the file of a new database, for its owner alone; SQLite gives the files beside it the same mode.

    One that is there is not touched: closing it would end the locks that this process has on it.
    """
    with suppress(OSError):  # what the disk refuses SQLite tells
        os.close(os.open(str(database_url(value).database), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _url(value: str) -> URL | None:
    """A path as it is, whatever characters it has; None for what cannot be read as a URL."""
    if "://" not in value:
        return URL.create("sqlite", database=value)
    try:
        return make_url(value)
    except ArgumentError:
        return None


def writing_engine(value: str, durable: Durability = "disk") -> Engine:
    """The engine of the one writing thread; its transactions take the write lock when they begin."""
    return _engine(value, "BEGIN IMMEDIATE", (SYNCHRONOUS[durable],), pool_size=1, max_overflow=0)


def reading_engine(value: str, size: int) -> Engine:
    """The engine of the readers."""
    return _engine(value, "BEGIN", ("PRAGMA query_only=ON",), pool_size=size, max_overflow=0)


def _engine(value: str, begin: str, pragmas: tuple[str, ...], **pool: int) -> Engine:
    # The driver's own transaction control is off (isolation_level None), so that BEGIN is ours and savepoints work.
    engine = create_engine(
        database_url(value),
        json_serializer=dump_json,
        connect_args={"isolation_level": None, "check_same_thread": False},
        **pool,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (*PRAGMAS, *pragmas):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Any) -> None:
        connection.connection.dbapi_connection.execute(begin)

    return engine
