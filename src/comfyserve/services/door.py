"""The one door through which a run changes: its new state, its events and the deliveries owed, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.errors import EngineLost
from comfyserve.core.runs import TARGET, Fact, FactKind, Run, Status, advance
from comfyserve.db import deliveries, events, outputs, runs

ENDINGS: Mapping[Status, FactKind] = {
    TARGET[kind]: kind for kind in (FactKind.SUCCEEDED, FactKind.FAILED, FactKind.CANCELLED, FactKind.TIMED_OUT)
}
RUN_UPDATED = "run.updated"
"""The one webhook event: the state of a run has changed."""


class Door:
    """Applies facts to a run inside the caller's transaction."""

    def __init__(self, ids: Callable[[], str]) -> None:
        self._ids = ids

    def submit(self, connection: Connection, row: Mapping[str, Any], graph: Mapping[str, Any]) -> None:
        """Write a new run with its graph and its first event."""
        told = _Told(row, row["created_at"])
        told.add(FactKind.SUBMITTED, None, Status.QUEUED, None, {})
        runs.insert(connection, {**row, "last_event": told.seq}, graph)
        self._tell(connection, told)

    def claim(self, connection: Connection, row: Mapping[str, Any], run: Run, now: datetime) -> None:
        """Record that `row` has become the claimed `run`."""
        told = _Told(row, now)
        lease = run.lease
        data = {"worker": lease.worker_id if lease else None, "claim": run.claims}
        told.add(FactKind.CLAIMED, Status(row["status"]), run.status, run.attempt_id, data)
        runs.save(connection, run, now, last_event=told.seq)
        self._tell(connection, told)

    def record(
        self, connection: Connection, row: Mapping[str, Any], facts: Sequence[Fact], now: datetime, **columns: Any
    ) -> Run:
        """Apply facts in order; those that come after the run's end, or change nothing, leave no trace.

        `columns` are written with the run. What was sealed for its work goes with its end. Raises Stale for a
        transition that is not allowed.
        """
        run, told = runs.as_run(row), _Told(row, now, since=row["updated_at"])
        for fact in facts:
            before, run = run, _apply(run, fact, told.happened(fact), told)
            columns |= _moments(before, run, now)
        if run.final and row["sealed_options"]:
            columns["sealed_options"] = None
        if told.events or columns:
            runs.save(connection, run, now, last_event=told.seq, **columns)
            self._tell(connection, told)
        return run

    def _tell(self, connection: Connection, told: "_Told") -> None:
        events.insert(connection, told.events)
        wishes = told.row["webhooks"] or ()
        moments = [(wish, moment) for wish in wishes for moment in _moments_for(connection, wish, told)]
        deliveries.insert(connection, [self._owed(told, wish, moment) for wish, moment in moments])

    def _owed(self, told: "_Told", wish: Mapping[str, str], moment: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": self._ids(),
            "run_id": told.row["id"],
            "format": wish["format"],
            "url": wish["url"],
            "receiver": _receiver(wish["url"]),
            "event": RUN_UPDATED,
            "body": dict(moment),
            "state": deliveries.OWED,
            "tries": 0,
            "due_at": told.now,
            "created_at": told.now,
        }


class _Told:
    """The events of one transaction, numbered on from the run's last one."""

    def __init__(self, row: Mapping[str, Any], now: datetime, since: datetime | None = None) -> None:
        self.row = row
        self.now = now
        self.at = now if since is None else min(now, since)
        self.seq = int(row["last_event"])
        self.events: list[dict[str, Any]] = []
        self.befores: list[Status | None] = []

    def happened(self, fact: Fact) -> datetime:
        """When a fact happened, by the clock of the ledger; no sooner than what was written before it."""
        self.at = max(self.at, self.now - timedelta(seconds=fact.age))
        return self.at

    def add(
        self,
        kind: FactKind,
        before: Status | None,
        after: Status,
        attempt_id: str | None,
        data: Mapping[str, Any],
    ) -> None:
        self.seq += 1
        self.befores.append(before)
        self.events.append(
            {
                "run_id": self.row["id"],
                "seq": self.seq,
                "kind": kind.value,
                "at": self.at,
                "attempt_id": attempt_id,
                "status": after.value,
                "data": dict(data),
            }
        )


def _apply(run: Run, fact: Fact, now: datetime, told: _Told) -> Run:
    """One fact; a loss that ends the run is followed by the ending, so that readers need to know one word only."""
    if fact.kind is FactKind.LOST:
        fact = _with_error(fact)
    after = advance(run, fact, now)
    stays = after is run and (fact.kind in TARGET or fact.kind is FactKind.CANCEL_REQUESTED)
    if run.final or stays:
        return after
    if fact.kind is FactKind.LOST:
        lost = {"reason": fact.data.get("reason", ""), "attempt": run.attempts}
        told.add(fact.kind, run.status, Status.QUEUED if after.final else after.status, run.attempt_id, lost)
        if after.final:
            ending = {} if after.error is None else {"error": dict(after.error)}
            told.add(ENDINGS[after.status], Status.QUEUED, after.status, run.attempt_id, ending)
        return after
    told.add(fact.kind, run.status, after.status, run.attempt_id, fact.data)
    return after


def _moments(before: Run, after: Run, now: datetime) -> dict[str, datetime]:
    """From when a lost run waits again."""
    if after.status is Status.QUEUED and before.status is not Status.QUEUED:
        return {"queued_at": after.not_before or now}
    return {}


def _with_error(fact: Fact) -> Fact:
    """A loss needs an error too: it is the run's own if no attempt is left."""
    if "error" in fact.data:
        return fact
    reason = str(fact.data.get("reason") or "The worker was lost.")
    return Fact(fact.kind, {**fact.data, "error": EngineLost(reason).as_dict()})


def _receiver(url: str) -> str:
    """Who gets the call: the part of the URL that names a host."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2].lower()


def _moments_for(connection: Connection, wish: Mapping[str, str], told: _Told) -> list[dict[str, Any]]:
    """What a webhook is told of now: the end of the run, every change of its state, or each file of a success: those
    that were saved, or else its previews."""
    changes = [
        {"seq": event["seq"], "status": event["status"], "output_id": None}
        for before, event in zip(told.befores, told.events, strict=True)
        if before is None or before.value != event["status"]
    ]
    if wish["on"] == "changes":
        return changes
    ends = [change for change in changes if change["status"] in ENDINGS]
    if wish["on"] == "end" or not ends or ends[0]["status"] != Status.SUCCESS:
        return ends
    files = [output for output in outputs.of_run(connection, told.row["id"]) if output["filename"]]
    saved = [file for file in files if file["type"] == "output"]
    return [ends[0] | {"output_id": file["id"]} for file in saved or files]
