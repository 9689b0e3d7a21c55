"""Statements about the outputs of runs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, or_, select

from comfyserve.db.rows import Row, many
from comfyserve.db.tables import outputs, runs

_INSERT = outputs.insert()
_OF_RUN = (
    select(outputs)
    .join(runs, runs.c.id == outputs.c.run_id)
    .where(
        outputs.c.run_id == bindparam("run"),
        or_(outputs.c.attempt_id == runs.c.attempt_id, outputs.c.attempt_id.is_(None)),
    )
    .order_by(outputs.c.seq)
)


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write outputs."""
    if rows:
        connection.execute(_INSERT, [dict(row) for row in rows])


def of_run(connection: Connection, run_id: str) -> Sequence[Row]:
    """The outputs of the run's present attempt, in the order in which they were recorded."""
    return many(connection, _OF_RUN, {"run": run_id})


def first_files(connection: Connection, run_ids: Collection[str]) -> Sequence[Row]:
    """One file of each of these runs: the first picture of the present attempt, or else its first file."""
    place = func.row_number().over(
        partition_by=outputs.c.run_id, order_by=(case((outputs.c.kind == "image", 0), else_=1), outputs.c.seq)
    )
    files = (
        select(outputs.c.seq, place.label("place"))
        .join(runs, runs.c.id == outputs.c.run_id)
        .where(
            outputs.c.run_id.in_(run_ids),
            or_(outputs.c.asset_id.is_not(None), outputs.c.target_url.is_not(None)),
            or_(outputs.c.attempt_id == runs.c.attempt_id, outputs.c.attempt_id.is_(None)),
        )
        .subquery()
    )
    return many(connection, select(outputs).join(files, files.c.seq == outputs.c.seq).where(files.c.place == 1))
