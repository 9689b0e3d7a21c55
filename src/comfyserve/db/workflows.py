"""Statements about workflows and their versions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, select

from comfyserve.db.rows import Row, many, one
from comfyserve.db.tables import versions, workflows

MAX_VERSION = 2**31
LISTED: tuple[Column[Any], ...] = tuple(column for column in versions.c if column.name not in ("graph", "editor"))
"""Everything but what can be large."""


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write a workflow."""
    connection.execute(workflows.insert(), [dict(row)])


def insert_version(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write a version."""
    connection.execute(versions.insert(), [dict(row)])


def find(connection: Connection, workflow_id: str, workspace_id: str) -> Row | None:
    """A workflow of this workspace."""
    statement = select(workflows).where(workflows.c.id == workflow_id, workflows.c.workspace_id == workspace_id)
    return one(connection, statement)


def next_version(
    connection: Connection, workflow_id: str, workspace_id: str, version_id: str, now: datetime
) -> int | None:
    """Take the next version number of a workflow for `version_id`; None when there is no such workflow."""
    statement = (
        workflows.update()
        .where(workflows.c.id == workflow_id, workflows.c.workspace_id == workspace_id)
        .values(latest_version=workflows.c.latest_version + 1, latest_version_id=version_id, updated_at=now)
        .returning(workflows.c.latest_version)
    )
    return connection.execute(statement).scalar()


def page(
    connection: Connection,
    workspace_id: str,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
    search: str | None = None,
) -> Sequence[Row]:
    """Workflows of a workspace, newest first; `search` is a part of the name, in any case."""
    statement = select(workflows).where(workflows.c.workspace_id == workspace_id)
    if search:
        statement = statement.where(workflows.c.name.icontains(search, autoescape=True))
    if before is not None:
        moment, workflow_id = before
        statement = statement.where(
            (workflows.c.created_at < moment) | ((workflows.c.created_at == moment) & (workflows.c.id < workflow_id))
        )
    statement = statement.order_by(workflows.c.created_at.desc(), workflows.c.id.desc()).limit(limit)
    return many(connection, statement)


def find_version(
    connection: Connection,
    workspace_id: str,
    *,
    version_id: str | None = None,
    workflow_id: str | None = None,
    version: int | None = None,
) -> Row | None:
    """A version by its id, or by its workflow and number; None for a number that no version can have."""
    if version is not None and not 0 < version < MAX_VERSION:
        return None
    statement = select(versions).where(versions.c.workspace_id == workspace_id)
    if version_id is not None:
        statement = statement.where(versions.c.id == version_id)
    else:
        statement = statement.where(versions.c.workflow_id == workflow_id, versions.c.version == version)
    return one(connection, statement)


def versions_page(
    connection: Connection, workspace_id: str, workflow_id: str, *, before: int | None, limit: int
) -> Sequence[Row]:
    """Versions of a workflow without their graphs, newest first."""
    statement = select(*LISTED).where(versions.c.workspace_id == workspace_id, versions.c.workflow_id == workflow_id)
    if before is not None:
        statement = statement.where(versions.c.version < before)
    return many(connection, statement.order_by(versions.c.version.desc()).limit(limit))
