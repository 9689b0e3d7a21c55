"""Statements about events, the durable facts of a run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from comfyserve.db.rows import Row, many
from comfyserve.db.tables import events

_AFTER = (
    select(events)
    .where(events.c.run_id == bindparam("run"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write events."""
    if rows:
        connection.execute(events.insert(), [dict(row) for row in rows])


def after(connection: Connection, run_id: str, seq: int, limit: int) -> Sequence[Row]:
    """The events of a run after `seq`, in order."""
    return many(connection, _AFTER, {"run": run_id, "after": seq, "most": limit})


def delete_before(connection: Connection, kinds: Sequence[str], moment: datetime, limit: int) -> int:
    """Remove old events of these kinds; how many went."""
    old = select(events.c.run_id, events.c.seq).where(events.c.kind.in_(kinds), events.c.at < moment).limit(limit)
    rows = connection.execute(old).all()
    for run_id, seq in rows:
        connection.execute(events.delete().where(events.c.run_id == run_id, events.c.seq == seq))
    return len(rows)
