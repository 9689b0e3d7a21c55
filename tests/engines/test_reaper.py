"""The reaper on its own, where its owner is gone before it could say anything."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

from comfyserve.engines.child import REAPER

WAIT_SECONDS = 20


async def test_an_owner_that_is_gone_at_once_leaves_nothing_behind(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    engine = "import time; time.sleep(600)"
    with (tmp_path / "said").open("wb") as said, theirs:
        reaper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(REAPER), sys.executable, "-c", engine),
            stdin=theirs.fileno(),
            stdout=said,
            stderr=said,
        )
        async with asyncio.timeout(WAIT_SECONDS):
            code = await reaper.wait()
    assert (code, (tmp_path / "said").read_text()) == (128 + signal.SIGKILL, "")
