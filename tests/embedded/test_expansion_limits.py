"""Expansions that never end cost their prompt only (the bounds are settings)."""

from collections.abc import AsyncIterator

import pytest

from comfyserve.embedded.folders import Folders
from comfyserve.embedded.settings import ServerSettings

from .conftest import Seat, serve
from .probe_nodes import NODE_CLASS_MAPPINGS
from .scenarios import node, show

ENDLESS = 10**9


@pytest.fixture
async def seat(folders: Folders) -> AsyncIterator[Seat]:
    async with serve(folders, ServerSettings(expanded_nodes=200), NODE_CLASS_MAPPINGS) as running:
        yield running


async def test_an_endless_expansion_is_an_error(seat: Seat) -> None:
    events, record = await seat.run({"1": node("Loop", value=ENDLESS), "2": show("1")})
    error = dict(events)["execution_error"]
    assert error["exception_type"].endswith("ExpansionLimitError")
    assert "200 nodes" in error["exception_message"]
    assert error["node_id"] == "1"
    assert record["status"]["status_str"] == "error"


async def test_the_engine_goes_on(seat: Seat) -> None:
    await seat.run({"1": node("Loop", value=ENDLESS), "2": show("1")})
    _, record = await seat.run({"1": node("Loop", value=50), "2": show("1")})
    assert record["outputs"] == {"2": {"text": ["50"]}}
