"""The client against the embedded engine as it misbehaves on request."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from comfyserve.core.errors import EngineLost
from comfyserve.embedded.faults.table import parse_fault
from comfyserve.embedded.files.folders import Folders
from comfyserve.engines.client import ComfyClient, Patience
from comfyserve.ports import NodeStarted, Outcome
from tests.embedded.faults.test_playing import engine, plain

PATIENCE = Patience(socket=1, quiet=0.2, poll=0.05, forgotten=0.1, lost=20)


async def ending(tmp_path: Path, fault: str, patience: Patience = PATIENCE) -> Outcome:
    folders = Folders(tmp_path)
    folders.create()
    async with engine(folders, parse_fault(fault)) as seat:
        client = ComfyClient(seat.url, patience=patience)
        try:
            async with client.execute("mine", plain(), {}) as events:
                told = [event async for event in events]
        finally:
            await client.close()
    assert isinstance(told[-1], Outcome)
    return told[-1]


@pytest.mark.parametrize(
    "fault",
    [
        "socket-dropped,step=2",
        "socket-silent,step=2",
        "late-history,seconds=0.5",
        "wrong-answer,answer=error-500",
        "wrong-answer,answer=not-json",
        "wrong-answer,answer=empty",
        "wrong-answer,answer=other-id",
        "wrong-answer,answer=cut",
    ],
)
async def test_what_an_engine_says_wrongly_does_not_cost_the_run(tmp_path: Path, fault: str) -> None:
    assert (await ending(tmp_path, fault)).ending == "success"


async def test_a_socket_that_was_silent_is_replaced(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.create()
    async with engine(folders, parse_fault("socket-silent,step=2")) as seat:
        client = ComfyClient(seat.url, patience=PATIENCE)
        heard = []
        for number in range(3):
            async with client.execute(f"run-{number}", plain(3 + number), {}) as events:
                told = [event async for event in events]
            assert isinstance(told[-1], Outcome) and told[-1].ending == "success"
            heard.append(any(isinstance(event, NodeStarted) for event in told))
        await client.close()
    assert (False, False) not in pairwise(heard), "after a silent run the next one has a socket of its own"


async def test_an_engine_out_of_memory_asks_to_be_restarted(tmp_path: Path) -> None:
    error = (await ending(tmp_path, "out-of-memory,step=2")).error
    assert error is not None and error["details"]["needs_restart"] is True


async def test_an_end_without_a_record_is_lost_in_the_end(tmp_path: Path) -> None:
    with pytest.raises(EngineLost, match="forgotten"):
        await ending(tmp_path, "late-history,seconds=3600", replace(PATIENCE, lost=0.3))
