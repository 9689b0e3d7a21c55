"""Who is next: priority, fair share between keys, age; and how full the queue may get."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, insert, select

from comfyserve.core.errors import Conflict, QueueFull
from comfyserve.core.options import RunOptions
from comfyserve.core.runs import Status
from comfyserve.core.targets import HttpTarget
from comfyserve.db.runs import _NEXT
from comfyserve.db.tables import run_graphs, runs
from comfyserve.ports import Busy, StoredOutput
from tests.services.bundle import LIMITS, TEXT_GRAPH, Bundle, new_id, open_bundle

ADDRESS = "https://example.com/a.png"


async def order(bundle: Bundle) -> list[str]:
    """The ids of the waiting runs in the order in which they are claimed."""
    claimed = []
    while (claim := await bundle.record.claim(bundle.machine_id, "w")) is not None:
        claimed.append(claim.run.id)
    return claimed


async def test_the_oldest_goes_first(bundle: Bundle) -> None:
    wanted = [(await bundle.run()).id for _ in range(4)]
    assert await order(bundle) == wanted


async def test_priority_goes_before_age(bundle: Bundle) -> None:
    made = {priority: (await bundle.run(priority=priority)).id for priority in (0, -5, 100, 3)}
    assert await order(bundle) == [made[priority] for priority in (100, 3, 0, -5)]


async def test_keys_take_turns(bundle: Bundle) -> None:
    other = await bundle.another_key("other")
    many = [(await bundle.run()).id for _ in range(4)]
    few = [(await bundle.run(caller=other)).id for _ in range(2)]
    assert await order(bundle) == [many[0], few[0], many[1], few[1], many[2], many[3]]


async def test_a_key_that_comes_late_waits_for_one_run_of_the_others(bundle: Bundle) -> None:
    other = await bundle.another_key("other")
    many = [(await bundle.run()).id for _ in range(6)]
    for _ in range(3):
        await bundle.claim()
    late = (await bundle.run(caller=other)).id
    assert await order(bundle) == [many[3], late, *many[4:]]


async def test_runs_of_a_busy_key_are_passed_over(bundle: Bundle) -> None:
    other, graph = await bundle.another_key("other"), {"1": {"class_type": "ShowText", "inputs": {"text": ADDRESS}}}
    outside = [(await bundle.run(graph)).id for _ in range(2)]
    target = (await bundle.run(options=RunOptions(target=HttpTarget(ADDRESS)))).id
    plain, theirs = (await bundle.run()).id, (await bundle.run(caller=other)).id
    key = frozenset({bundle.caller.key_id})

    async def next_but(busy: Busy) -> str | None:
        claim = await bundle.record.claim(bundle.machine_id, "w", busy)
        return claim.run.id if claim else None

    assert await next_but(Busy(keys=key)) == theirs
    assert await next_but(Busy(keys=key)) is None
    assert await next_but(Busy(outside=key)) == plain
    assert await next_but(Busy(outside=key)) is None
    assert await order(bundle) == [*outside, target]


async def test_a_key_does_not_save_turns_up(bundle: Bundle) -> None:
    other = await bundle.another_key("other")
    for _ in range(5):
        await bundle.run(caller=other)
    await order(bundle)
    first = [(await bundle.run(caller=other)).id for _ in range(2)]
    second = [(await bundle.run()).id for _ in range(2)]
    assert await order(bundle) == [first[0], second[0], first[1], second[1]]


async def test_a_cancelled_queue_costs_its_key_no_turns(bundle: Bundle) -> None:
    other = await bundle.another_key("other")
    for _ in range(5):
        await bundle.cancel.cancel(bundle.caller, (await bundle.run()).id)
    first = (await bundle.run()).id
    second = (await bundle.run(caller=other)).id
    assert await order(bundle) == [first, second]


async def test_a_lost_run_keeps_its_place(bundle: Bundle) -> None:
    wanted = [(await bundle.run()).id for _ in range(3)]
    await bundle.claim()
    assert await bundle.record.release_workers(bundle.machine_id, "", reason="It was killed.") == 1
    assert await order(bundle) == wanted


async def test_the_position_counts_runs_before(bundle: Bundle) -> None:
    made = [await bundle.runs.placed(await bundle.run()) for _ in range(3)]
    urgent = await bundle.runs.placed(await bundle.run(priority=1))
    assert [run.queue_position for run in made] == [0, 1, 2]
    assert urgent.queue_position == 0
    assert (await bundle.runs.get(bundle.caller, made[2].id)).queue_position == 3
    claim = await bundle.claim()
    assert claim.run.id == urgent.id
    assert (await bundle.runs.get(bundle.caller, urgent.id)).queue_position is None
    assert (await bundle.runs.get(bundle.caller, made[0].id)).queue_position == 0


async def test_places_are_counted_where_that_holds_up_nobody(bundle: Bundle) -> None:
    """Not by a submit, not on the event loop, and not while a run is only waited for."""
    threads: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "count(" in statement and ".turn <" in statement:
            threads.append(threading.current_thread().name)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        run = await bundle.run()
        assert threads == []
        await bundle.runs.get(bundle.caller, run.id)
        assert len(threads) == 1
        waiting = asyncio.create_task(bundle.watch.wait(bundle.caller, run.id, 30))
        await asyncio.sleep(0)
        await bundle.cancel.cancel(bundle.caller, run.id)
        assert (await asyncio.wait_for(waiting, 10)).status is Status.CANCELLED
        assert len(threads) == 1
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert all(name.startswith("db-read") for name in threads), threads


async def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    limits = type(LIMITS)(max_queued=2, max_attempts=3, graph_bytes=10**6, inputs_bytes=10**6)
    bundle = await open_bundle(tmp_path, limits=limits)
    for _ in range(2):
        await bundle.run()
    with pytest.raises(QueueFull) as refused:
        await bundle.run()
    assert refused.value.retry_after > 0
    await bundle.claim()
    assert (await bundle.run()).status is Status.QUEUED
    await bundle.db.close()


async def test_a_claim_from_ten_thousand_reads_one_run(bundle: Bundle) -> None:
    first = await bundle.run(priority=1)
    await bundle.db.write(lambda connection: _fill(connection, bundle, 10_000))
    assert (await bundle.claim()).run.id == first.id
    steps = await bundle.db.read(lambda connection: _plan(connection, bundle.machine_id))
    assert any("ix_runs_claim" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step or "SCAN" in step for step in steps), steps


def _fill(connection: Connection, bundle: Bundle, count: int) -> None:
    """Queue many runs at once, as if they had been submitted."""
    ids = [new_id() for _ in range(count)]
    row = {
        "workspace_id": bundle.caller.workspace_id,
        "machine_id": bundle.machine_id,
        "key_id": bundle.caller.key_id,
        "dialect": "native",
        "origin": "api",
        "inputs": {},
        "warnings": [],
        "priority": 0,
        "status": "queued",
        "max_attempts": 3,
        "attempts": 0,
        "claims": 0,
        "created_at": bundle.clock(),
        "updated_at": bundle.clock(),
        "queued_at": bundle.clock(),
        "simulated": False,
        "last_event": 0,
    }
    connection.execute(insert(runs), [{**row, "id": one, "turn": index} for index, one in enumerate(ids)])
    graph = {"graph": TEXT_GRAPH, "extra_data": {}, "asset_ids": []}
    connection.execute(insert(run_graphs), [{**graph, "run_id": one} for one in ids])


def _plan(connection: Connection, machine_id: str) -> list[str]:
    """How SQLite finds the next run."""
    compiled = _NEXT.compile(connection, compile_kwargs={"literal_binds": False})
    values = [compiled.params[name] if name != "machine" else machine_id for name in compiled.positiontup or ()]
    statement = f"EXPLAIN QUERY PLAN {compiled}"
    shown = tuple("x" if value is None else value for value in values)
    return [str(row[-1]) for row in connection.exec_driver_sql(statement, shown)]


async def test_the_same_idempotency_key_finds_the_same_run(bundle: Bundle) -> None:
    first = await bundle.run(inputs={"input_text": "a"}, idempotency_key="k")
    again = await bundle.run(inputs={"input_text": "a"}, idempotency_key="k")
    assert (again.id, again.replayed, first.replayed) == (first.id, True, False)
    await bundle.finish(await bundle.claim(), [StoredOutput("2", "ShowText", "text", 0, value="a")])
    finished = await bundle.run(inputs={"input_text": "a"}, idempotency_key="k")
    assert (finished.status, [output.value for output in finished.outputs]) == (Status.SUCCESS, ["a"])
    assert await order(bundle) == []


async def test_only_a_request_with_a_key_is_hashed(bundle: Bundle) -> None:
    await bundle.run()
    await bundle.run(idempotency_key="k")
    hashes = await bundle.db.read(lambda connection: connection.execute(select(runs.c.request_hash)).scalars().all())
    assert [digest is None for digest in hashes] == [True, False]


async def test_an_idempotency_key_is_for_one_request(bundle: Bundle) -> None:
    await bundle.run(inputs={"input_text": "a"}, idempotency_key="k")
    with pytest.raises(Conflict):
        await bundle.run(inputs={"input_text": "b"}, idempotency_key="k")
    other = await bundle.run(inputs={"input_text": "b"}, idempotency_key="k2")
    assert not other.replayed
