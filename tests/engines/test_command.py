"""Commands that run to their end, and leave nothing behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from comfyserve.engines.command import CommandFailed, run
from tests.engines.test_process import gone, pids_in

ENVIRONMENT = {"PATH": os.environ["PATH"]}
BACKGROUND = "sleep 600 & echo $! > {0}; "
RUNS = """
import asyncio, sys
from comfyserve.engines.command import run
asyncio.run(run(("sh", "-c", sys.argv[1]), environment={"PATH": "/usr/bin:/bin"}, seconds=600))
"""


def shell(text: str, *, seconds: float = 30.0) -> "asyncio.Future[list[str]]":
    """A shell command."""
    return asyncio.ensure_future(run(("sh", "-c", text), environment=ENVIRONMENT, seconds=seconds))


async def test_what_a_command_says_is_told_line_by_line() -> None:
    heard: list[str] = []
    script = "echo out; echo err >&2; printf '10%%\\r20%%\\n'; printf last"
    assert await run(("sh", "-c", script), environment=ENVIRONMENT, seconds=30, on_line=heard.append) == heard
    assert heard == ["out", "err", "10%", "20%", "last"]


async def test_a_command_that_fails_or_is_not_there() -> None:
    with pytest.raises(CommandFailed, match="sh ended with code 7") as failed:
        await shell("echo why; exit 7")
    assert failed.value.lines == ["why"]
    with pytest.raises(CommandFailed, match="no-such-program cannot be started"):
        await run(("no-such-program",), environment=ENVIRONMENT, seconds=1)


async def test_a_command_that_takes_too_long_ends_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(CommandFailed, match=r"took longer than 0\.5 s"):
        await shell(f"setsid {BACKGROUND.format(pids)} sleep 600", seconds=0.5)
    await gone(*await pids_in(pids, 1))


async def test_what_a_command_leaves_behind_is_ended_and_the_command_was_well(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert await shell(BACKGROUND.format(pids) + "echo done") == ["done"]
    await gone(*await pids_in(pids, 1))


async def test_a_cancel_ends_a_command(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    task = shell(BACKGROUND.format(pids) + "wait")
    started = await pids_in(pids, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(*started)


async def test_a_command_dies_with_us(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", RUNS, BACKGROUND.format(pids) + "wait")
    started = await pids_in(pids, 1)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await gone(*started)
