"""A supervised process: it starts, tells why it does not, comes back when it dies, and leaves nobody behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from comfyserve.core.errors import EngineLost
from comfyserve.engines.client import Patience
from comfyserve.engines.folders import Folders
from comfyserve.engines.launch import PORT, Launch, environment
from comfyserve.engines.process import EngineState, ProcessEngine, RestartPolicy
from comfyserve.ports import EngineEvent

SERVER = Path(__file__).with_name("tiny_server.py")
QUICK = RestartPolicy(failures=2, delays=(0.01,), stable_seconds=0)


def launch(*arguments: str, **options: object) -> Launch:
    """The tiny server, with its port and what it should do."""
    return Launch((sys.executable, "-S", str(SERVER), PORT, *arguments), stop_seconds=5, **options)  # type: ignore[arg-type]  # free options


@asynccontextmanager
async def running(started: Launch, policy: RestartPolicy = QUICK) -> AsyncIterator[ProcessEngine]:
    engine = ProcessEngine(started, policy=policy, patience=Patience(socket=0.05))
    try:
        yield engine
    finally:
        await engine.close()


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(*pids: int) -> None:
    """Wait until none of these processes runs."""
    async with asyncio.timeout(10):
        while any(alive(pid) for pid in pids):  # noqa: ASYNC110  (other processes announce nothing)
            await asyncio.sleep(0.01)


def read_pids(file: Path) -> list[int]:
    """The process ids that the tiny server wrote down so far."""
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


async def pids_in(file: Path, count: int) -> list[int]:
    """The process ids that the tiny server wrote down, once they are so many."""
    async with asyncio.timeout(10):
        while len(pids := read_pids(file)) < count:  # noqa: ASYNC110  (other processes announce nothing)
            await asyncio.sleep(0.01)
    return pids


async def read_all(events: AsyncIterator[EngineEvent]) -> list[EngineEvent]:
    return [event async for event in events]


async def test_it_starts_and_stops() -> None:
    async with running(launch()) as engine:
        assert engine.pid is None
        await engine.ready()
        assert engine.state is EngineState.READY
        assert engine.pid is not None and alive(engine.pid)
        pid = engine.pid
    assert not alive(pid)
    assert engine.state is EngineState.STOPPED and engine.pid is None
    with pytest.raises(EngineLost, match="was stopped"):
        await engine.object_info()


async def test_a_command_that_ends_at_once_is_told_with_its_last_words() -> None:
    async with running(launch("--fail", "no such model")) as engine:
        with pytest.raises(EngineLost, match=r"exit code 3 before it was ready.*\n.*no such model"):
            await engine.ready()
        assert engine.state is EngineState.FATAL
        with pytest.raises(EngineLost):
            await engine.ready()


async def test_a_command_that_does_not_exist_is_told() -> None:
    async with running(Launch(("/nonexistent/python", PORT))) as engine:
        with pytest.raises(EngineLost, match="cannot start /nonexistent/python"):
            await engine.ready()
    async with running(launch(cwd=Path("/nonexistent"))) as engine:
        with pytest.raises(EngineLost, match="cannot be started"):
            await engine.ready()


async def test_a_command_that_never_becomes_ready_is_given_up() -> None:
    async with running(launch("--mute", start_seconds=0.3)) as engine:
        with pytest.raises(EngineLost, match=r"not ready within 0.3 s"):
            await engine.ready()
        assert engine.state is EngineState.FATAL and engine.pid is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_it_comes_back_after_it_died(number: signal.Signals) -> None:
    async with running(launch(), RestartPolicy(failures=3, delays=(0.01,))) as engine:
        await engine.ready()
        first = engine.pid
        assert first is not None
        os.kill(first, number)
        await gone(first)
        await state(engine, EngineState.READY, other_than=first)
        assert engine.pid != first


async def test_its_death_is_noticed_by_those_who_wait() -> None:
    async with running(launch()) as engine:
        await engine.ready()
        assert engine.pid is not None
        async with engine.execute("p1", {"1": {"class_type": "Wait", "inputs": {}}}, {}) as events:
            os.kill(engine.pid, signal.SIGKILL)
            with pytest.raises(EngineLost, match="exit code 137"):
                await asyncio.wait_for(read_all(events), 5)


async def test_one_that_lives_and_does_not_answer_is_replaced_when_it_is_needed() -> None:
    frozen = Launch((sys.executable, "-S", str(SERVER), PORT), stop_seconds=0.1)
    async with running(frozen, RestartPolicy(failures=1, answer_seconds=0.5)) as engine:
        await engine.ready()
        first = engine.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await asyncio.wait_for(engine.ready(), 20)
        assert engine.state is EngineState.READY and engine.pid != first
        await gone(first)


async def test_one_that_does_not_answer_is_replaced_once_for_all_who_need_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = (sys.executable, "-S", str(SERVER), PORT, "--fork", str(pids))
    async with running(Launch(command, stop_seconds=0.1), RestartPolicy(failures=1, answer_seconds=0.5)) as engine:
        await engine.ready()
        assert engine.pid is not None
        before = len(read_pids(pids))
        os.kill(engine.pid, signal.SIGSTOP)
        await asyncio.wait_for(asyncio.gather(engine.ready(), engine.ready()), 20)
        assert len(read_pids(pids)) == 2 * before


async def test_restart_gives_a_new_process_and_counts_as_no_failure() -> None:
    async with running(launch(), RestartPolicy(failures=1)) as engine:
        await engine.ready()
        first = engine.pid
        await engine.restart("out of memory")
        assert engine.state is EngineState.READY and engine.pid != first


async def test_who_asks_for_the_engine_while_it_is_restarted_waits_for_the_new_one(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with running(launch("--fork", str(pids)), RestartPolicy(failures=1)) as engine:
        await engine.ready()
        async with engine.execute("p1", {"1": {"class_type": "Wait", "inputs": {}}}, {}) as events:
            restarting = asyncio.create_task(engine.restart("out of memory"))
            with pytest.raises(EngineLost, match="out of memory"):
                await asyncio.wait_for(read_all(events), 5)
            await engine.ready()
        await restarting
        assert engine.state is EngineState.READY and engine.pid is not None and alive(engine.pid)
        await asyncio.gather(engine.restart("again"), engine.restart("and again"))
        lives = await pids_in(pids, 6)
    await gone(*lives)


async def test_stop_takes_the_grandchildren_along_even_detached_and_stubborn_ones(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with running(launch("--fork", str(pids), "--stubborn")) as engine:
        engine.launch = Launch(engine.launch.command, stop_seconds=0.2)
        await engine.ready()
        family = await pids_in(pids, 3)
        assert all(alive(pid) for pid in family)
    await gone(*family)


async def test_an_engine_that_dies_leaves_no_grandchildren(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with running(launch("--fork", str(pids)), RestartPolicy(failures=1)) as engine:
        await engine.ready()
        family = await pids_in(pids, 3)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await gone(*family)


async def test_the_files_of_a_run_are_removed_although_its_process_is_dead(tmp_path: Path) -> None:
    made = tmp_path / "output" / "p1" / "half.png"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"x")
    engine = ProcessEngine(launch(folders=Folders(tmp_path)))
    with pytest.raises(EngineLost):
        await engine.forget(["p1"], [])
    assert not made.parent.exists()


async def test_the_group_ends_even_when_the_reaper_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with running(launch("--fork", str(pids)), RestartPolicy(failures=1)) as engine:
        await engine.ready()
        await pids_in(pids, 3)
        assert engine.pid is not None
        group = [pid for pid in read_pids(pids) if os.getpgid(pid) == engine.pid]
        stat = Path(f"/proc/{engine.pid}/stat").read_text()  # noqa: ASYNC240  (proc answers at once)
        os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
        assert len(group) == 2
        await gone(*group)
        runaways = set(read_pids(pids)) - set(group)
        for runaway in runaways:
            os.kill(runaway, signal.SIGKILL)
        await gone(*runaways)


async def test_the_whole_family_ends_when_we_are_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("owner.py")), str(SERVER), str(pids)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdout is not None
    async with asyncio.timeout(20):
        while await owner.stdout.readline() != b"ready\n":
            pass
    family = await pids_in(pids, 3)
    owner.kill()
    await owner.wait()
    await gone(*family)


async def test_the_environment_is_an_allow_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMFYSERVE_SECRET_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    seen = tmp_path / "environment"
    async with running(launch("--environment", str(seen), env={"EXTRA": "yes"})) as engine:
        await engine.ready()
    text = seen.read_text()
    assert "secret" not in text
    assert "CUDA_VISIBLE_DEVICES=1\n" in text and "EXTRA=yes\n" in text and "PATH=" in text


def test_the_environment_table() -> None:
    ours = {"PATH": "/bin", "LC_ALL": "C", "COMFYSERVE_DATABASE": "x", "PGPASSWORD": "x", "HF_TOKEN": "x"}
    assert environment(ours, {"A": "b"}) == {"PATH": "/bin", "LC_ALL": "C", "PYTHONUNBUFFERED": "1", "A": "b"}


async def state(engine: ProcessEngine, wanted: EngineState, *, other_than: int) -> None:
    """Wait for a state of a new process."""
    async with asyncio.timeout(10):
        while engine.state is not wanted or engine.pid == other_than:
            await engine.ready()
            await asyncio.sleep(0.01)
