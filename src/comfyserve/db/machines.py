"""Statements about machines."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, bindparam, select

from comfyserve.db.rows import Row, many, one
from comfyserve.db.tables import machines

SHOWN: tuple[Column[Any], ...] = tuple(column for column in machines.c if column.name != "catalogue")
"""Everything but the catalogue, which is large."""

_BY_ID = select(*SHOWN).where(machines.c.id == bindparam("machine"))
_BY_NAME = select(*SHOWN).where(
    machines.c.workspace_id == bindparam("workspace"), machines.c.name == bindparam("named")
)


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write a machine."""
    connection.execute(machines.insert(), [dict(row)])


def find(connection: Connection, machine_id: str, *, workspace_id: str | None = None) -> Row | None:
    """A machine, in this workspace if one is given."""
    row = one(connection, _BY_ID, {"machine": machine_id})
    return row if row is None or workspace_id in (None, row["workspace_id"]) else None


def find_by_name(connection: Connection, workspace_id: str, name: str) -> Row | None:
    """A machine by its name."""
    return one(connection, _BY_NAME, {"workspace": workspace_id, "named": name})


def of_workspace(connection: Connection, workspace_id: str, limit: int) -> Sequence[Row]:
    """The machines of a workspace, the oldest first."""
    statement = select(*SHOWN).where(machines.c.workspace_id == workspace_id)
    return many(connection, statement.order_by(machines.c.created_at, machines.c.id).limit(limit))


def catalogue(connection: Connection, machine_id: str) -> Mapping[str, Any] | None:
    """What nodes the machine has; None until a worker has told."""
    found: Mapping[str, Any] | None = connection.execute(
        select(machines.c.catalogue).where(machines.c.id == machine_id)
    ).scalar()
    return found


def update(connection: Connection, machine_id: str, now: datetime, **columns: Any) -> bool:
    """Change columns of a machine; whether there is one."""
    statement = machines.update().where(machines.c.id == machine_id).values(updated_at=now, **columns)
    return connection.execute(statement).rowcount == 1
