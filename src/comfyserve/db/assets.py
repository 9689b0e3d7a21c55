"""Statements about assets, the stored files."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select

from comfyserve.db.rows import Row, many, one
from comfyserve.db.tables import assets

_INSERT = assets.insert()
_BY_ID = select(assets).where(assets.c.id == bindparam("asset"))


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write assets."""
    if rows:
        connection.execute(_INSERT, [dict(row) for row in rows])


def find(connection: Connection, asset_id: str, *, workspace_id: str | None = None) -> Row | None:
    """The row of an asset, in this workspace if one is given."""
    row = one(connection, _BY_ID, {"asset": asset_id})
    return row if row is None or workspace_id in (None, row["workspace_id"]) else None


def find_all(connection: Connection, asset_ids: Collection[str], workspace_id: str) -> Sequence[Row]:
    """Those of these assets that are in the workspace."""
    statement = select(assets).where(assets.c.id.in_(asset_ids), assets.c.workspace_id == workspace_id)
    return many(connection, statement)


def page(connection: Connection, workspace_id: str, *, before: int | None, limit: int) -> Sequence[Row]:
    """Assets of a workspace, newest first."""
    statement = select(assets).where(assets.c.workspace_id == workspace_id)
    if before is not None:
        statement = statement.where(assets.c.seq < before)
    return many(connection, statement.order_by(assets.c.seq.desc()).limit(limit))


def of_runs(connection: Connection, run_ids: Collection[str]) -> Sequence[Row]:
    """The assets that belong to these runs."""
    return many(connection, select(assets).where(assets.c.run_id.in_(run_ids)))


def adopt(connection: Connection, asset_ids: Collection[str], run_id: str) -> None:
    """Let assets belong to a run, so that they go when it goes."""
    if asset_ids:
        connection.execute(assets.update().where(assets.c.id.in_(asset_ids)).values(run_id=run_id))


def delete(connection: Connection, asset_ids: Collection[str]) -> None:
    """Remove the rows; the bytes are the caller's affair."""
    connection.execute(assets.delete().where(assets.c.id.in_(asset_ids)))


def delete_of_runs(connection: Connection, run_ids: Collection[str]) -> None:
    """Remove the rows of all assets that belong to these runs."""
    connection.execute(assets.delete().where(assets.c.run_id.in_(run_ids)))
