"""Statements about workspaces and keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from comfyserve.db.rows import Row, many, one
from comfyserve.db.tables import keys, workspaces


def insert_workspace(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write a workspace."""
    connection.execute(workspaces.insert(), [dict(row)])


def first_workspace(connection: Connection) -> Row | None:
    """The oldest workspace: the one that the first start made."""
    statement = select(workspaces).order_by(workspaces.c.created_at, workspaces.c.id).limit(1)
    return one(connection, statement)


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write a key."""
    connection.execute(keys.insert(), [dict(row)])


def find_by_hash(connection: Connection, digest: str) -> Row | None:
    """The key with this sha256, revoked or not, with the name of its workspace."""
    statement = (
        select(keys, workspaces.c.name.label("workspace_name"))
        .join(workspaces, workspaces.c.id == keys.c.workspace_id)
        .where(keys.c.hash == digest)
    )
    return one(connection, statement)


def page(
    connection: Connection, workspace_id: str, kind: str, *, before: tuple[datetime, str] | None, limit: int
) -> Sequence[Row]:
    """The keys of a workspace that are not revoked, newest first."""
    statement = select(keys).where(
        keys.c.workspace_id == workspace_id, keys.c.kind == kind, keys.c.revoked_at.is_(None)
    )
    if before is not None:
        moment, key_id = before
        statement = statement.where(
            (keys.c.created_at < moment) | ((keys.c.created_at == moment) & (keys.c.id < key_id))
        )
    statement = statement.order_by(keys.c.created_at.desc(), keys.c.id.desc()).limit(limit)
    return many(connection, statement)


def revoke(connection: Connection, key_id: str, now: datetime, *, workspace_id: str | None = None) -> str | None:
    """Revoke a key that is not yet revoked, in this workspace if one is given; the answer is its hash, or None."""
    statement = keys.update().where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=now)
    if workspace_id is not None:
        statement = statement.where(keys.c.workspace_id == workspace_id)
    return connection.execute(statement.returning(keys.c.hash)).scalar()


def mark_used(connection: Connection, key_id: str, now: datetime) -> None:
    """Remember when a key was last used."""
    connection.execute(keys.update().where(keys.c.id == key_id).values(last_used_at=now))


def delete_dead(connection: Connection, before: datetime) -> None:
    """Remove sessions and sign-in tokens that ended before this moment. Reads the whole table."""
    dead = (keys.c.expires_at < before) | (keys.c.revoked_at < before)
    connection.execute(keys.delete().where(keys.c.kind != "api", dead))
