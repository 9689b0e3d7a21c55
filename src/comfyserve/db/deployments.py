"""Statements about deployments. Rows come with what a deployment shows of its workflow and version."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from comfyserve.db.rows import Row, many, one
from comfyserve.db.tables import deployments, versions, workflows


def _shown() -> Select[Any]:
    return (
        select(
            deployments,
            workflows.c.name.label("workflow_name"),
            versions.c.version,
            versions.c.graph_hash,
        )
        .join(workflows, workflows.c.id == deployments.c.workflow_id)
        .join(versions, versions.c.id == deployments.c.version_id)
    )


def insert(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write a deployment. Raises IntegrityError when its name is taken."""
    connection.execute(deployments.insert(), [dict(row)])


def find(connection: Connection, workspace_id: str, id_or_name: str) -> Row | None:
    """A deployment by its id, or else by its name."""
    statement = _shown().where(
        deployments.c.workspace_id == workspace_id,
        or_(deployments.c.id == id_or_name, deployments.c.name == id_or_name),
    )
    rows = many(connection, statement.limit(2))
    return next((row for row in rows if row["id"] == id_or_name), rows[0] if rows else None)


def find_environment(connection: Connection, workspace_id: str, workflow_id: str, environment: str) -> Row | None:
    """The oldest deployment of a workflow in an environment."""
    statement = (
        _shown()
        .where(
            deployments.c.workspace_id == workspace_id,
            deployments.c.workflow_id == workflow_id,
            deployments.c.environment == environment,
        )
        .order_by(deployments.c.created_at, deployments.c.id)
        .limit(1)
    )
    return one(connection, statement)


def page(
    connection: Connection,
    workspace_id: str,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
    filters: Mapping[str, Any],
) -> Sequence[Row]:
    """Deployments of a workspace, newest first; `filters` are columns and the values they must have."""
    statement = _shown().where(deployments.c.workspace_id == workspace_id)
    for name, value in filters.items():
        statement = statement.where(deployments.c[name] == value)
    if before is not None:
        moment, deployment_id = before
        statement = statement.where(
            (deployments.c.created_at < moment)
            | ((deployments.c.created_at == moment) & (deployments.c.id < deployment_id))
        )
    statement = statement.order_by(deployments.c.created_at.desc(), deployments.c.id.desc()).limit(limit)
    return many(connection, statement)


def update(connection: Connection, deployment_id: str, columns: Mapping[str, Any]) -> None:
    """Change columns of a deployment. Raises IntegrityError when the new name is taken."""
    connection.execute(deployments.update().where(deployments.c.id == deployment_id).values(**columns))


def delete(connection: Connection, deployment_id: str) -> None:
    """Remove a deployment; its runs keep its name."""
    connection.execute(deployments.delete().where(deployments.c.id == deployment_id))
