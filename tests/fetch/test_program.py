"""Programs of ours that run as children."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import psutil
import pytest

from comfyserve.fetch.child import python_command

TELLS = """import os, sys
print(os.getpid(), *sys.argv[1:], flush=True)
sys.stdin.read() if "wait" in sys.argv else sys.exit(5)
"""
PARENT = "import subprocess, sys\nsubprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()\n"


@pytest.fixture
def tells(tmp_path: Path) -> Path:
    path = tmp_path / "tells.py"
    path.write_text(TELLS)
    return path


async def test_it_gets_its_arguments_and_gives_its_status(tells: Path) -> None:
    process = await asyncio.create_subprocess_exec(*python_command(tells, ["a", "b c"]), stdout=PIPE)
    said, _ = await process.communicate()
    assert (said.split()[1:], process.returncode) == ([b"a", b"b", b"c"], 5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_it_ends_with_its_parent(tells: Path) -> None:
    command = (sys.executable, "-c", PARENT, *python_command(tells, ["wait"]))
    parent = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int((await asyncio.wait_for(parent.stdout.readline(), 20)).split()[0]))
    child.suspend()  # so that the end of its input does not end it
    parent.send_signal(signal.SIGKILL)
    await asyncio.wait_for(parent.wait(), 20)
    _, alive = await asyncio.to_thread(psutil.wait_procs, [child], 20)
    assert not alive
