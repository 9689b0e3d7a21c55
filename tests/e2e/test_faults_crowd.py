"""A thousand runs of two callers at once: in turn, all of them, each once."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from comfyserve.client import Client
from tests.e2e.faults import at_the_gate, faulty, graph, happened, open_gate, submit
from tests.e2e.program import Program, colour_graph, finished, until

RUNS = 1000
CALLERS = 16


async def test_a_thousand_runs_of_two_keys(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with faulty(data_dir, log_level="warning") as (running, client):
        held = await submit(client, graph("FaultGate", "crowd"))
        await at_the_gate(client, held)
        staged = await submit(client, colour_graph(0xFFFFFF))
        await happened(client, staged, "claimed")
        await _submit_all(running, client)
        open_gate(data_dir, "crowd")
        await until(
            lambda: client.get("/v1/machines"),
            lambda page: page["items"][0]["queued"] + page["items"][0]["running"] == 0,
        )
        for run_id in (held, staged):
            assert (await finished(client, run_id))["status"] == "success"
    _check_ledger(data_dir / "comfyserve.db", {held, staged})


async def _submit_all(running: Program, client: Client) -> None:
    """Half by the admin's key, then half by another one."""
    other = (await client.post("/v1/keys", {"name": "other"}))["key"]
    half = RUNS // 2
    async with running.client(other) as second:
        for caller, colours in ((client, iter(range(half))), (second, iter(range(half, RUNS)))):
            await asyncio.gather(*(_submit_each(caller, colours) for _ in range(CALLERS)))


async def _submit_each(caller: Client, colours: Iterator[int]) -> None:
    for colour in colours:
        await submit(caller, colour_graph(colour))


def _check_ledger(path: Path, others: set[str]) -> None:
    """Read behind the program's back, when it has ended: a thousand stories by the API take their time."""
    with closing(sqlite3.connect(path)) as ledger:
        runs = {row[0]: row[1:] for row in ledger.execute("select id, key_id, status, attempts from runs")}
        events = ledger.execute("select run_id, kind from events order by at, run_id, seq").fetchall()
        outputs = [run_id for (run_id,) in ledger.execute("select run_id from outputs")]
    assert len(runs) == RUNS + len(others)
    assert {(status, attempts) for _, status, attempts in runs.values()} == {("success", 1)}
    assert sorted(outputs) == sorted(runs)
    for kind in ("submitted", "claimed", "started", "succeeded"):
        assert sorted(run_id for run_id, told in events if told == kind) == sorted(runs), kind
    claims = [runs[run_id][0] for run_id, kind in events if kind == "claimed" and run_id not in others]
    first = claims[0]
    lead = 0
    for key_id in claims:
        lead += 1 if key_id == first else -1
        assert abs(lead) <= 1
    assert lead == 0
