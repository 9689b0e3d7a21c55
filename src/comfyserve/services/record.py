"""Ledger and Stop over the database: how workers claim runs and record what happened."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.errors import DomainError, Stale
from comfyserve.core.graph import parse_graph
from comfyserve.core.runs import TARGET, Fact, FactKind, Lease, Run, Status, check_lease
from comfyserve.core.runs import claim as claimed
from comfyserve.db import assets, machines, outputs, runs
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.ports import NOBODY, AssetRef, Bell, Busy, Claim, Clocks, Live, StoredOutput, machine_topic
from comfyserve.services.door import ENDINGS, Door
from comfyserve.services.options import opened
from comfyserve.services.output_rows import OutputRow, output_rows
from comfyserve.services.sealing import Sealing
from comfyserve.services.topics import DELIVERIES, DEPTH, end_topic, run_topic

RELEASE_BATCH = 500


@dataclass(frozen=True)
class _Taken:
    row: Row
    run: Run
    lease: Lease
    assets: Sequence[Row]


class Record:
    """Implements ports.Ledger and ports.Stop."""

    def __init__(
        self,
        db: Database,
        door: Door,
        *,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        bell: Bell,
        live: Live,
        sealing: Sealing,
        lease_seconds: float,
        clocks: Clocks,
        on_attempt: Callable[[str, str], None] = lambda prompt_id, request_id: None,
    ) -> None:
        """`on_attempt` is told under which id an engine will know a request."""
        self._db = db
        self._door = door
        self._clock = clock
        self._ids = ids
        self._bell = bell
        self._live = live
        self._sealing = sealing
        self._lease = timedelta(seconds=lease_seconds)
        self._clocks = clocks
        self._on_attempt = on_attempt

    async def claim(self, machine_id: str, worker_id: str, busy: Busy = NOBODY) -> Claim | None:
        """The next run of this machine by priority, fair share between keys, age; None when none waits that may go.

        A run whose options cannot be opened any more ends here, and the next one is taken.
        """
        while (taken := await self._take(machine_id, worker_id, busy)) is not None:
            self._told(taken.row, taken.run)
            try:
                return self._claim(taken)
            except DomainError as error:
                failed = Fact(FactKind.FAILED, {"error": error.as_dict()})
                await self.apply(taken.run.id, taken.lease.token, [failed])
        return None

    async def _take(self, machine_id: str, worker_id: str, busy: Busy) -> _Taken | None:
        def take(connection: Connection) -> _Taken | None:
            now = self._clock()
            row = runs.next_queued(connection, machine_id, now, but_keys=busy.keys, but_outside=busy.outside)
            if row is None:
                return None
            lease = Lease(self._ids(), worker_id, now + self._lease)
            run = claimed(runs.as_run(row), self._ids(), lease, now)
            self._door.claim(connection, row, run, now)
            runs.mark_served(connection, machine_id, row["priority"], row["turn"])
            used = assets.find_all(connection, row["asset_ids"], row["workspace_id"]) if row["asset_ids"] else ()
            return _Taken(row, run, lease, used)

        return await self._db.write(take)

    def _claim(self, taken: _Taken) -> Claim:
        """Raises SealBroken."""
        self._on_attempt(str(taken.run.attempt_id), taken.row["idempotency_key"] or taken.run.id)
        return Claim(
            run=taken.run,
            lease=taken.lease,
            attempt_id=str(taken.run.attempt_id),
            graph=parse_graph(taken.row["graph"]),
            extra_data=taken.row["extra_data"],
            assets={row["id"]: _asset_ref(row) for row in taken.assets},
            clocks=self._clocks,
            more=bool(taken.row["several"]),
            options=opened(taken.row, self._sealing),
            outside=taken.row["outside"],
        )

    async def renew(self, leases: Collection[Lease]) -> frozenset[str]:
        """Prolong leases; the answer is the tokens that are still ours."""
        tokens = [lease.token for lease in leases]
        if not tokens:
            return frozenset()
        return await self._db.write(lambda connection: runs.renew(connection, tokens, self._clock() + self._lease))

    async def apply(self, run_id: str, token: str, facts: Sequence[Fact], outputs: Sequence[StoredOutput] = ()) -> Run:
        """Record facts and outputs in one transaction. Raises Stale when the lease is not the run's present one."""

        def record(connection: Connection) -> tuple[Row, Run]:
            now = self._clock()
            row = runs.find(connection, run_id)
            if row is None:
                raise Stale(f"Run {run_id} is gone.")
            check_lease(runs.as_run(row), token)
            stored = output_rows(row, outputs, self._ids, now)
            _insert_outputs(connection, stored)
            simulated = {"simulated": True} if any(fact.data.get("simulated") for fact in facts) else {}
            return row, self._door.record(connection, row, _with_outputs(facts, stored), now, **simulated)

        # A caller that is cancelled may have been recorded all the same: then those who watch must hear of it, too.
        return await asyncio.shield(self._record_and_tell(record))

    async def _record_and_tell(self, record: Callable[[Connection], tuple[Row, Run]]) -> Run:
        row, run = await self._db.write(record)
        self._told(row, run)
        return run

    async def publish_catalogue(self, machine_id: str, object_info: Mapping[str, Any]) -> None:
        """Keep what nodes the machine has; one that has not changed is not written again."""
        digest = await asyncio.to_thread(_digest, object_info)

        def publish(connection: Connection) -> None:
            row = machines.find(connection, machine_id)
            if row is not None and row["catalogue_hash"] != digest:
                columns = {"catalogue": dict(object_info), "catalogue_hash": digest}
                machines.update(connection, machine_id, self._clock(), **columns)

        await self._db.write(publish)

    async def wished(self, run_ids: Collection[str]) -> frozenset[str]:
        """Those of these runs that somebody wants to stop, or that have ended otherwise."""
        wanted = list(run_ids)
        if not wanted:
            return frozenset()
        return await self._db.read(lambda connection: runs.wishes(connection, wanted))

    async def release_workers(self, machine_id: str, workers: str, *, reason: str) -> int:
        """Take back what the workers of a machine hold whose names begin with `workers`, without waiting for their
        leases; how many runs. For who knows that they are dead: a server at its start, about its own.
        """
        return await self.lose(
            lambda connection: runs.held(connection, machine_id, workers, RELEASE_BATCH),
            Fact(FactKind.LOST, {"reason": reason}),
        )

    async def lose(self, find: Callable[[Connection], Sequence[Row]], fact: Fact) -> int:
        """Record `fact` about every run that `find` finds, batch by batch; how many there were.

        Most of the time there is none, so the look comes first, where it holds up no writer.
        """
        if not await self._db.read(find):
            return 0

        def record(connection: Connection) -> list[tuple[Row, Run]]:
            now = self._clock()
            return [(row, self._door.record(connection, row, [fact], now)) for row in find(connection)]

        total = 0
        while changed := await self._db.write(record):
            total += len(changed)
            for row, run in changed:
                self._told(row, run)
        return total

    def _told(self, row: Mapping[str, Any], run: Run) -> None:
        """After the commit: wake whoever waits for this."""
        self._bell.ring(run_topic(run.id))
        if run.final:
            self._bell.ring(end_topic(run.id))
            self._bell.ring(DEPTH)
            self._live.drop(run.id)
        if run.status is Status.QUEUED:
            self._bell.ring(machine_topic(run.machine_id))
        if row["webhooks"]:
            self._bell.ring(DELIVERIES)


def _with_outputs(facts: Sequence[Fact], stored: Sequence[OutputRow]) -> list[Fact]:
    """The facts with one for each output, before the one that ends the run."""
    told = [Fact(FactKind.OUTPUT, row.event) for row in stored]
    end = next((at for at, fact in enumerate(facts) if TARGET.get(fact.kind) in ENDINGS), len(facts))
    return [*facts[:end], *told, *facts[end:]]


def _insert_outputs(connection: Connection, stored: Sequence[OutputRow]) -> None:
    assets.insert(connection, [row.asset for row in stored if row.asset is not None])
    outputs.insert(connection, [row.output for row in stored])


def _asset_ref(row: Mapping[str, Any]) -> AssetRef:
    return AssetRef(row["id"], row["blob_key"], row["filename"], row["mime"], row["size"])


def _digest(object_info: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(object_info, sort_keys=True, default=str).encode()).hexdigest()
