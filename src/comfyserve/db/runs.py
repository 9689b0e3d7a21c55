"""Statements about runs. The life of a run is `core.runs.Run`; here it becomes columns and comes back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, func, literal, or_, select

from comfyserve.core.runs import HELD, Lease, Run, Status
from comfyserve.db.deliveries import OWED
from comfyserve.db.rows import Row, many, one
from comfyserve.db.tables import assets, deliveries, lanes, run_graphs, runs

QUEUED = Status.QUEUED.value

_others = runs.alias("others")
_SEVERAL = (
    select(literal(1))
    .where(_others.c.machine_id == runs.c.machine_id, _others.c.status == QUEUED, _others.c.id != runs.c.id)
    .exists()
    .label("several")
)
_NEXT = (
    select(runs, run_graphs.c.graph, run_graphs.c.extra_data, run_graphs.c.asset_ids, _SEVERAL)
    .join(run_graphs, run_graphs.c.run_id == runs.c.id)
    .where(
        runs.c.machine_id == bindparam("machine"),
        runs.c.status == QUEUED,
        or_(runs.c.not_before.is_(None), runs.c.not_before <= bindparam("now", type_=runs.c.not_before.type)),
    )
    .order_by(runs.c.priority.desc(), runs.c.turn, runs.c.seq)
    .limit(1)
    .with_for_update(skip_locked=True, of=runs)
)
_NEXT_BUT = _NEXT.where(
    runs.c.key_id.not_in(bindparam("keys", expanding=True)),
    or_(~runs.c.outside, runs.c.key_id.not_in(bindparam("outside", expanding=True))),
)
_before = or_(
    _others.c.priority > runs.c.priority,
    and_(_others.c.priority == runs.c.priority, _others.c.turn < runs.c.turn),
    and_(_others.c.priority == runs.c.priority, _others.c.turn == runs.c.turn, _others.c.seq < runs.c.seq),
)
_POSITION = (
    select(func.count())
    .select_from(runs.join(_others, and_(_others.c.machine_id == runs.c.machine_id, _others.c.status == QUEUED)))
    .where(runs.c.id == bindparam("run"), _before)
)
_BY_ID = select(runs).where(runs.c.id == bindparam("run"))
_STATUS = select(runs.c.status).where(runs.c.id == bindparam("run"), runs.c.workspace_id == bindparam("workspace"))
_BY_KEY = select(runs).where(runs.c.workspace_id == bindparam("workspace"), runs.c.idempotency_key == bindparam("key"))
_GRAPH = select(run_graphs.c.graph).where(run_graphs.c.run_id == bindparam("run"))
_INSERT, _INSERT_GRAPH = runs.insert(), run_graphs.insert()
_RELEASE = (
    runs.update()
    .where(runs.c.workspace_id == bindparam("workspace"), runs.c.idempotency_key == bindparam("key"))
    .values(idempotency_key=None, request_hash=None)
)
_SAVE = runs.update().where(runs.c.id == bindparam("run"))
_SERVED = lanes.update().where(lanes.c.machine_id == bindparam("machine"), lanes.c.priority == bindparam("level"))
_LEVEL = (
    runs.c.machine_id == bindparam("machine"),
    runs.c.status == QUEUED,
    runs.c.priority == bindparam("level"),
)
_TURN = select(
    select(func.max(runs.c.turn)).where(*_LEVEL, runs.c.key_id == bindparam("key")).scalar_subquery().label("own"),
    select(lanes.c.served)
    .where(lanes.c.machine_id == bindparam("machine"), lanes.c.priority == bindparam("level"))
    .scalar_subquery()
    .label("served"),
    select(func.count())
    .select_from(
        select(literal(1))
        .where(runs.c.machine_id == bindparam("machine"), runs.c.status == QUEUED)
        .limit(bindparam("most"))
        .subquery()
    )
    .scalar_subquery()
    .label("waiting"),
)


def as_run(row: Mapping[str, Any]) -> Run:
    """The life of the run in this row."""
    lease = Lease(row["lease_token"], row["lease_worker"], row["lease_until"]) if row["lease_token"] else None
    return Run(
        id=row["id"],
        workspace_id=row["workspace_id"],
        machine_id=row["machine_id"],
        key_id=row["key_id"],
        status=Status(row["status"]),
        created_at=row["created_at"],
        max_attempts=row["max_attempts"],
        attempts=row["attempts"],
        claims=row["claims"],
        attempt_id=row["attempt_id"],
        lease=lease,
        not_before=row["not_before"],
        claimed_at=row["claimed_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        cancel_requested_at=row["cancel_requested_at"],
        error=row["error"],
    )


def life(run: Run) -> dict[str, Any]:
    """The columns that change as a run lives."""
    return {
        "status": run.status.value,
        "attempts": run.attempts,
        "claims": run.claims,
        "attempt_id": run.attempt_id,
        "lease_token": run.lease.token if run.lease else None,
        "lease_worker": run.lease.worker_id if run.lease else None,
        "lease_until": run.lease.until if run.lease else None,
        "not_before": run.not_before,
        "claimed_at": run.claimed_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "cancel_requested_at": run.cancel_requested_at,
        "error": dict(run.error) if run.error is not None else None,
    }


def insert(connection: Connection, row: Mapping[str, Any], graph: Mapping[str, Any]) -> None:
    """Write a new run and, apart from it, its graph."""
    connection.execute(_INSERT, [dict(row)])
    connection.execute(_INSERT_GRAPH, [{"run_id": row["id"], **graph}])


def find(connection: Connection, run_id: str, *, workspace_id: str | None = None) -> Row | None:
    """The row of a run, in this workspace if one is given."""
    row = one(connection, _BY_ID, {"run": run_id})
    return row if row is None or workspace_id in (None, row["workspace_id"]) else None


def status_of(connection: Connection, run_id: str, workspace_id: str) -> Status | None:
    """The state of a run of this workspace, without the rest of its row; None when there is none."""
    found = connection.execute(_STATUS, {"run": run_id, "workspace": workspace_id}).scalar()
    return None if found is None else Status(found)


def find_by_idempotency_key(connection: Connection, workspace_id: str, key: str) -> Row | None:
    """The run that was made under this key."""
    return one(connection, _BY_KEY, {"workspace": workspace_id, "key": key})


def release_key(connection: Connection, workspace_id: str, key: str) -> None:
    """Take this idempotency key from the run that has it, if one has."""
    connection.execute(_RELEASE, {"workspace": workspace_id, "key": key})


def graph_of(connection: Connection, run_id: str) -> Mapping[str, Any]:
    """The graph that was queued; empty when it is gone."""
    return connection.execute(_GRAPH, {"run": run_id}).scalar() or {}


def save(connection: Connection, run: Run, now: datetime, **columns: Any) -> None:
    """Write the life of a run, and other columns."""
    connection.execute(_SAVE, {"run": run.id, **life(run), "updated_at": now, **columns})


def warn(connection: Connection, run_id: str, warning: Mapping[str, str]) -> None:
    """Add to what a run warns of, unless its code is among that already."""
    said = connection.execute(select(runs.c.warnings).where(runs.c.id == run_id)).scalar()
    if said is not None and all(one["code"] != warning["code"] for one in said):
        connection.execute(runs.update().where(runs.c.id == run_id).values(warnings=[*said, dict(warning)]))


def next_queued(
    connection: Connection,
    machine_id: str,
    now: datetime,
    *,
    but_keys: Collection[str] = (),
    but_outside: Collection[str] = (),
) -> Row | None:
    """The run to claim, with its graph, and whether `several` wait: by priority, then turn (fair share), then age.

    Runs of `but_keys` are passed over, and those of `but_outside` that need something from outside.
    """
    values = {"machine": machine_id, "now": now}
    if not but_keys and not but_outside:
        return one(connection, _NEXT, values)
    return one(connection, _NEXT_BUT, values | {"keys": list(but_keys), "outside": list(but_outside)})


def next_turn(connection: Connection, machine_id: str, priority: int, key_id: str, limit: int) -> tuple[int, int]:
    """The turn of a new run of this key, and how many runs wait (counted up to `limit` + 1).

    Fair share by start tags: a key's runs take consecutive turns, from the turn that is being served now. So a key
    with one run waits for one run of every other key, not for all of them.
    """
    row = connection.execute(_TURN, {"machine": machine_id, "level": priority, "key": key_id, "most": limit + 1}).one()
    return max(row.own or 0, row.served or 0) + 1, row.waiting


def mark_served(connection: Connection, machine_id: str, priority: int, turn: int) -> None:
    """Remember the turn that this priority has come to."""
    values = {"machine": machine_id, "level": priority, "served": turn}
    if connection.execute(_SERVED, values).rowcount == 0:
        connection.execute(lanes.insert(), [{"machine_id": machine_id, "priority": priority, "served": turn}])


def position(connection: Connection, run_id: str) -> int:
    """How many runs of its machine are claimed before this one. Reads the queue up to there."""
    return connection.execute(_POSITION, {"run": run_id}).scalar_one()


def count_by_state(connection: Connection, machine_ids: Collection[str]) -> dict[str, tuple[int, int]]:
    """Queued and held runs of each machine."""
    active = [QUEUED, *(status.value for status in HELD)]
    statement = (
        select(runs.c.machine_id, runs.c.status, func.count().label("n"))
        .where(runs.c.machine_id.in_(machine_ids), runs.c.status.in_(active))
        .group_by(runs.c.machine_id, runs.c.status)
    )
    counts = dict.fromkeys(machine_ids, (0, 0))
    for machine_id, status, n in connection.execute(statement):
        queued, held = counts[machine_id]
        counts[machine_id] = (queued + n, held) if status == QUEUED else (queued, held + n)
    return counts


def count_unfinished(connection: Connection) -> int:
    """How many runs of all machines wait or are worked on."""
    active = [QUEUED, *(status.value for status in HELD)]
    found: int = connection.execute(select(func.count()).where(runs.c.status.in_(active))).scalar_one()
    return found


def renew(connection: Connection, tokens: Collection[str], until: datetime) -> frozenset[str]:
    """Prolong these leases; the answer is those that are still held."""
    held = select(runs.c.lease_token).where(_held(), runs.c.lease_token.in_(tokens))
    ours = frozenset(connection.execute(held).scalars())
    if ours:
        connection.execute(runs.update().where(_held(), runs.c.lease_token.in_(ours)).values(lease_until=until))
    return ours


def wishes(connection: Connection, run_ids: Collection[str]) -> frozenset[str]:
    """Those of these runs that shall stop or have ended."""
    statement = select(runs.c.id).where(
        runs.c.id.in_(run_ids), or_(runs.c.cancel_requested_at.is_not(None), runs.c.ended_at.is_not(None))
    )
    return frozenset(connection.execute(statement).scalars())


def expired(connection: Connection, now: datetime, limit: int) -> Sequence[Row]:
    """Held runs whose lease is over."""
    statement = select(runs).where(_held(), runs.c.lease_until < now).limit(limit)
    return many(connection, statement)


def held(connection: Connection, machine_id: str, workers: str, limit: int) -> Sequence[Row]:
    """Runs of a machine that workers hold whose names begin with `workers`."""
    theirs = runs.c.lease_worker.startswith(workers, autoescape=True)
    return many(connection, select(runs).where(_held(), runs.c.machine_id == machine_id, theirs).limit(limit))


def queued_since(connection: Connection, before: datetime, limit: int) -> Sequence[Row]:
    """Runs that have waited since before this moment, from their submit or from their last loss."""
    statement = select(runs).where(runs.c.status == QUEUED, runs.c.queued_at < before).limit(limit)
    return many(connection, statement)


def finished_beyond(connection: Connection, keep: int, limit: int) -> Sequence[str]:
    """The ids of finished runs that are older than the newest `keep` runs of all and owe no webhook any more."""
    owed = select(deliveries.c.run_id).where(deliveries.c.state == OWED)
    edge = select(runs.c.seq).order_by(runs.c.seq.desc()).offset(keep).limit(1).scalar_subquery()
    statement = (
        select(runs.c.id)
        .where(runs.c.seq <= edge, runs.c.ended_at.is_not(None), runs.c.id.not_in(owed))
        .order_by(runs.c.seq)
        .limit(limit)
    )
    return connection.execute(statement).scalars().all()


def finished_beyond_bytes(connection: Connection, most: int, limit: int) -> Sequence[str]:
    """The ids of the oldest finished runs without which the files of all finished runs hold at most `most` bytes, and
    that owe no webhook any more. Reads all finished runs."""
    owed = select(deliveries.c.run_id).where(deliveries.c.state == OWED)
    held = (
        select(
            runs.c.id, runs.c.seq, func.sum(func.sum(assets.c.size)).over(order_by=runs.c.seq.desc()).label("so_far")
        )
        .join(assets, assets.c.run_id == runs.c.id)
        .where(runs.c.ended_at.is_not(None))
        .group_by(runs.c.id, runs.c.seq)
        .subquery()
    )
    statement = select(held.c.id).where(held.c.so_far > most, held.c.id.not_in(owed)).order_by(held.c.seq).limit(limit)
    return connection.execute(statement).scalars().all()


def ended_untidily(
    connection: Connection, after: tuple[datetime, str], until: datetime, limit: int
) -> Sequence[tuple[str, datetime]]:
    """Runs that were claimed and ended otherwise than with success at the first claim: id and end, in that order,
    after this end and id and up to a moment. Reads the whole table."""
    moment, run_id = after
    untidy = or_(runs.c.claims > 1, and_(runs.c.claims == 1, runs.c.status != Status.SUCCESS))
    later = or_(runs.c.ended_at > moment, and_(runs.c.ended_at == moment, runs.c.id > run_id))
    statement = select(runs.c.id, runs.c.ended_at).where(untidy, later, runs.c.ended_at <= until)
    found = connection.execute(statement.order_by(runs.c.ended_at, runs.c.id).limit(limit))
    return [(row.id, row.ended_at) for row in found]


def delete(connection: Connection, run_ids: Collection[str]) -> None:
    """Remove runs with all that hangs on them."""
    connection.execute(runs.delete().where(runs.c.id.in_(run_ids)))


def page(
    connection: Connection, workspace_id: str, *, filters: Mapping[str, Any], before: int | None, limit: int
) -> Sequence[Row]:
    """Runs of a workspace, newest first; `filters` are columns and the values they must have."""
    statement: Select[Any] = select(runs).where(runs.c.workspace_id == workspace_id)
    for name, value in filters.items():
        statement = statement.where(runs.c[name] == value)
    if before is not None:
        statement = statement.where(runs.c.seq < before)
    return many(connection, statement.order_by(runs.c.seq.desc()).limit(limit))


def _held() -> Any:
    return runs.c.status.in_([status.value for status in HELD])
