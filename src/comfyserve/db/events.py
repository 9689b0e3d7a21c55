"""Statements about events, the durable facts of a run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from comfyserve.db.rows import Row, many
from comfyserve.db.tables import events

_INSERT = events.insert()
_AFTER = (
    select(events)
    .where(events.c.run_id == bindparam("run"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write events."""
    if rows:
        connection.execute(_INSERT, [dict(row) for row in rows])


def after(connection: Connection, run_id: str, seq: int, limit: int) -> Sequence[Row]:
    """The events of a run after `seq`, in order."""
    return many(connection, _AFTER, {"run": run_id, "after": seq, "most": limit})


def before(connection: Connection, kinds: Sequence[str], moment: datetime, limit: int) -> Sequence[Row]:
    """Which events of these kinds are older than a moment: run_id and seq. Reads the whole table."""
    old = select(events.c.run_id, events.c.seq).where(events.c.kind.in_(kinds), events.c.at < moment)
    return many(connection, old.limit(limit))


def delete(connection: Connection, rows: Sequence[Row]) -> None:
    """Remove events by their run_id and seq."""
    statement = events.delete().where(events.c.run_id == bindparam("run"), events.c.seq == bindparam("number"))
    if rows:
        connection.execute(statement, [{"run": row["run_id"], "number": row["seq"]} for row in rows])
