"""Commands that start an engine their own way: on a fixed port, in the background, with an end of their own."""

import asyncio
import os
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from comfyserve.core.errors import EngineLost
from comfyserve.core.outputs import EngineFile
from comfyserve.engines.launch import Launch, comfyui, free_port
from comfyserve.engines.ownership import strangers
from comfyserve.engines.process import EngineState, ProcessEngine, RestartPolicy
from tests.engines.test_process import SERVER, alive, gone, launch, pids_in, running, state

ONCE = RestartPolicy(failures=1)
TINY = f"{shlex.quote(sys.executable)} -S {shlex.quote(str(SERVER))} $COMFYUI_PORT_HOST"


def script(text: str, port: int) -> Launch:
    """A start script that does not say where the port belongs."""
    return Launch(("sh", "-c", text), port=port, stop_seconds=5)


async def test_a_command_without_a_port_is_told_where_to_listen(tmp_path: Path) -> None:
    port, seen = free_port("127.0.0.1"), tmp_path / "environment"
    async with running(script(f"exec {TINY} --environment {seen}", port)) as engine:
        await engine.ready()
        assert engine.url == f"http://127.0.0.1:{port}"
    told = seen.read_text().splitlines()
    assert {f"COMFYUI_PORT_HOST={port}", "DIRECT_ADDRESS=127.0.0.1", "WEB_ENABLE_AUTH=false"} <= set(told)


async def test_an_engine_that_listens_everywhere_is_reached_here() -> None:
    started = Launch(("sh", "-c", f"exec {TINY}"), host="0.0.0.0", port=free_port("127.0.0.1"))
    async with running(started) as engine:
        await engine.ready()
        assert engine.url == f"http://127.0.0.1:{started.port}"


async def test_a_port_that_somebody_has_is_told_and_he_is_not_taken_for_ours() -> None:
    async with running(launch()) as other:
        await other.ready()
        assert other.url is not None
        port = int(other.url.rpartition(":")[2])
        async with running(script(f"exec {TINY}", port), ONCE) as engine:
            with pytest.raises(EngineLost, match=f"cannot have port {port}: another program listens there"):
                await engine.ready()
            assert engine.state is EngineState.FATAL and engine.pid is None
        await other.object_info()


async def test_somebody_who_takes_the_port_during_the_start_is_not_taken_for_ours(tmp_path: Path) -> None:
    port, pids = free_port("127.0.0.1"), tmp_path / "pids"
    async with running(script(f"echo $$ > {pids}; sleep 600", port), ONCE) as engine:
        waiting = asyncio.create_task(engine.ready())
        await pids_in(pids, 1)
        thief = await asyncio.create_subprocess_exec(sys.executable, "-S", str(SERVER), str(port))
        try:
            with pytest.raises(EngineLost, match=r"did not get its port: python\S* answers at"):
                await asyncio.wait_for(waiting, 10)
            assert strangers(port, thief.pid) == [] and strangers(port, os.getpid()) == []
        finally:
            thief.kill()
            await thief.wait()


@pytest.mark.parametrize("how", ["{0} & exit 0", "setsid {0} & exit 0", "(setsid {0} &) ; exit 0"])
async def test_a_script_that_leaves_the_engine_in_the_background(how: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = how.format(f"{TINY} --pid {pids}")
    async with running(script(text, free_port("127.0.0.1")), RestartPolicy(failures=3, delays=(0.01,))) as engine:
        await engine.ready()
        [first] = await pids_in(pids, 1)
        assert alive(first) and engine.state is EngineState.READY
        os.kill(first, signal.SIGKILL)
        _, second = await pids_in(pids, 2)
        await engine.ready()
        assert alive(second)
    await gone(second)


async def test_how_an_engine_in_the_background_ended_is_told(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with running(script(f"{TINY} --pid {pids} & exit 0", free_port("127.0.0.1")), ONCE) as engine:
        await engine.ready()
        async with engine.execute("p1", {}, {}) as events:
            os.kill((await pids_in(pids, 1))[0], signal.SIGKILL)
            with pytest.raises(EngineLost, match="exit code 137"):
                [_ async for _ in events]


async def test_the_folders_that_only_a_start_script_knows_are_read_and_tidied(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" / "p1"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"a picture")
    port = free_port("127.0.0.1")
    started = comfyui(tmp_path, command=("sh", "-c", f"{TINY} --output-directory {folder.parent} & exit 0"))
    async with running(replace(started, port=port)) as engine:
        await engine.ready()
        async with engine.open(EngineFile("a.png", "p1")) as pieces:
            assert b"".join([piece async for piece in pieces]) == b"a picture"
        await engine.forget(["p1"], [])
        assert not folder.exists() and folder.parent.exists()


async def test_an_end_with_0_is_an_end(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"{TINY} --pid {pids} & wait; sleep 600 & exit 0"
    async with running(script(text, free_port("127.0.0.1")), RestartPolicy(failures=3, delays=(0.01,))) as engine:
        await engine.ready()
        first = engine.pid
        assert first is not None
        [server] = await pids_in(pids, 1)
        os.kill(server, signal.SIGTERM)
        await gone(first)
        await state(engine, EngineState.READY, other_than=first)


async def test_a_command_that_ends_with_0_at_once_is_told() -> None:
    async with running(Launch(("sh", "-c", "echo all done"), port=free_port("127.0.0.1")), ONCE) as engine:
        with pytest.raises(EngineLost, match=r"exit code 0 before it was ready.*\n?.*all done"):
            await engine.ready()


async def test_it_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    text = f"trap 'echo asked > {said}; kill $!; exit 0' TERM; {TINY} & wait"
    async with running(script(text, free_port("127.0.0.1"))) as engine:
        await engine.ready()
    assert said.read_text() == "asked\n" and engine.state is EngineState.STOPPED


async def test_every_state_is_told() -> None:
    seen: list[EngineState] = []
    policy = RestartPolicy(failures=2, delays=(0.01,), stable_seconds=0)
    engine = ProcessEngine(launch("--fail", "broken"), policy=policy, on_state=seen.append)
    with pytest.raises(EngineLost, match="broken"):
        await engine.ready()
    engine.launch = launch()
    await engine.ready()
    await engine.restart("to see it")
    await engine.close()
    starting, ready = EngineState.STARTING, EngineState.READY
    assert seen == [
        *(starting, EngineState.BACKOFF, starting, EngineState.FATAL),
        *(starting, ready, EngineState.STOPPING, starting, ready, EngineState.STOPPING, EngineState.STOPPED),
    ]
