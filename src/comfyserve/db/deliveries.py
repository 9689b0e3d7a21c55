"""Statements about deliveries, the webhook calls that are owed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from comfyserve.db.rows import Row, many
from comfyserve.db.tables import deliveries

OWED = "owed"
SENT = "sent"
GIVEN_UP = "given_up"


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write owed deliveries."""
    if rows:
        connection.execute(deliveries.insert(), [dict(row) for row in rows])


def due(
    connection: Connection,
    now: datetime,
    limit: int,
    *,
    besides: Collection[str] = (),
    besides_receivers: Collection[str] = (),
) -> Sequence[Row]:
    """Deliveries that are due and first of their run's to that URL; `besides` leaves some of them and receivers out."""
    statement = select(deliveries).where(deliveries.c.due_at <= now, *_first(besides, besides_receivers))
    return many(connection, statement.order_by(deliveries.c.due_at).limit(limit))


def next_due_at(
    connection: Connection, *, besides: Collection[str] = (), besides_receivers: Collection[str] = ()
) -> datetime | None:
    """When the next delivery is due, of those that `due` would give then."""
    statement = select(deliveries.c.due_at).where(*_first(besides, besides_receivers))
    found: datetime | None = connection.execute(statement.order_by(deliveries.c.due_at).limit(1)).scalar()
    return found


def _first(besides: Collection[str], besides_receivers: Collection[str]) -> list[ColumnElement[bool]]:
    """Owed, and not behind another one of its run to the same URL."""
    earlier = deliveries.alias("earlier")
    waits = (
        select(earlier.c.seq)
        .where(
            earlier.c.run_id == deliveries.c.run_id,
            earlier.c.url == deliveries.c.url,
            earlier.c.state == OWED,
            earlier.c.seq < deliveries.c.seq,
        )
        .exists()
    )
    wanted = [deliveries.c.state == OWED, ~waits]
    if besides:
        wanted.append(deliveries.c.id.not_in(besides))
    if besides_receivers:
        wanted.append(deliveries.c.receiver.not_in(besides_receivers))
    return wanted


def update(connection: Connection, delivery_id: str, **columns: Any) -> None:
    """Change columns of a delivery."""
    connection.execute(deliveries.update().where(deliveries.c.id == delivery_id).values(**columns))
