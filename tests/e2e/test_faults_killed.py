"""Engines die under a queue of many runs: all end right, each tried again at most as often as allowed."""

import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import psutil

from comfyserve.client import Client
from tests.e2e.faults import at_the_gate, faulty, graph, happened, open_gate, submit
from tests.e2e.program import Program, colour_graph, finished, until

RUNS = 200
KILL_AT = (150, 80)
"""How many runs still wait when the engine is killed."""


async def test_an_engine_that_is_killed_in_the_middle_of_200_runs(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    settings = {"engine_work_ms": "10", "max_attempts": "3", "log_level": "warning"}
    async with faulty(data_dir, **settings) as (running, client):
        run_ids = [await submit(client, colour_graph(colour)) for colour in range(RUNS)]
        for left in KILL_AT:
            await _queue(client, left)
            await _kill(running)
        await _queue(client, 0)
        ends = [await finished(client, run_id) for run_id in run_ids[-3:]]
        assert [end["status"] for end in ends] == ["success"] * 3
    with closing(sqlite3.connect(data_dir / "comfyserve.db")) as ledger:
        runs = dict(ledger.execute("select id, status from runs"))
        attempts = Counter(row[0] for row in ledger.execute("select attempts from runs"))
        outputs = Counter(row[0] for row in ledger.execute("select run_id from outputs"))
        kinds = Counter(row[0] for row in ledger.execute("select kind from events"))
    assert runs == dict.fromkeys(run_ids, "success")
    assert outputs == dict.fromkeys(run_ids, 1)
    assert kinds["succeeded"] == RUNS and kinds["failed"] == 0
    assert max(attempts) <= 2 and 1 <= attempts[2] <= len(KILL_AT), "a kill costs the run that executed an attempt"


async def test_two_engines_work_side_by_side_and_die_alone(tmp_path: Path) -> None:
    async with faulty(tmp_path / "data", workers="2", max_attempts="2") as (running, client):
        await until(engines_of(running), lambda found: len(found) == 2)
        runs = [await submit(client, graph("FaultGate", name, colour)) for colour, name in enumerate(("one", "two"))]
        for run_id in runs:
            await at_the_gate(client, run_id)
        [machine] = (await client.get("/v1/machines"))["items"]
        assert (machine["workers"], machine["running"], machine["status"]) == (2, 2, "ready")
        second = next(engine for engine in running.engines() if "engine-2" in " ".join(engine.cmdline()))
        second.kill()
        workers = [(await happened(client, run_id, "claimed")).data["data"]["worker"] for run_id in runs]
        assert sorted(workers) == ["local-0", "local-1"]
        for name in ("one", "two"):
            open_gate(tmp_path / "data", name)
        ends = [await finished(client, run_id) for run_id in runs]
        assert [(end["status"], end["attempts"]) for end in ends] == [
            ("success", 1 if worker == "local-0" else 2) for worker in workers
        ]


async def test_an_engine_out_of_memory_is_restarted_before_the_next_run(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with faulty(data_dir) as (_, client):
        order = ("sick", "well", "sick", "well", "well")
        kinds = {"sick": "FaultMemory", "well": "FaultPid"}
        runs = [(name, await submit(client, graph(kinds[name], name, colour))) for colour, name in enumerate(order)]
        ends = [(name, await finished(client, run_id)) for name, run_id in runs]
    assert {(name, end["status"]) for name, end in ends} == {("sick", "failed"), ("well", "success")}
    assert {end["attempts"] for _, end in ends} == {1}, "what had begun in the sick engine is begun anew for free"
    assert all("Allocation on device" in end["error"]["message"] for name, end in ends if name == "sick")
    sick, well = ([int(pid) for pid in (data_dir / name).read_text().split()] for name in ("sick", "well"))
    assert len(set(sick)) == 2, "what runs out of memory meets a fresh engine, too"
    assert well[-1] not in sick and well[-2] not in sick


async def _queue(client: Client, left: int) -> None:
    """Return when so many runs wait or execute."""

    def few(page: dict[str, list[dict[str, int]]]) -> bool:
        return page["items"][0]["queued"] + page["items"][0]["running"] <= left

    await until(lambda: client.get("/v1/machines"), few)


async def _kill(running: Program) -> None:
    """Kill the engine that lives, with SIGKILL."""
    [engine] = await until(engines_of(running), bool)
    engine.kill()


def engines_of(running: Program) -> Callable[[], Awaitable[list[psutil.Process]]]:
    """Ask for the engines that run now."""

    async def ask() -> list[psutil.Process]:
        return running.engines()

    return ask
