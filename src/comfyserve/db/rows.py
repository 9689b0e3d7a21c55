"""Rows as plain mappings, read whole inside their transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable

Row = Mapping[str, Any]


def one(connection: Connection, statement: Executable, values: Row | None = None) -> Row | None:
    """The first row, or None."""
    row = connection.execute(statement, dict(values or {})).first()
    return None if row is None else dict(row._mapping)


def many(connection: Connection, statement: Executable, values: Row | None = None) -> Sequence[Row]:
    """All rows; the statement has a limit."""
    return [dict(row._mapping) for row in connection.execute(statement, dict(values or {}))]
