"""A misbehaving engine and an impatient client."""

from collections.abc import AsyncIterator

import pytest

from comfyserve.engines.client import ComfyClient, Patience
from tests.engines.scripted_comfy import ScriptedComfy

IMPATIENT = Patience(connect=1, answer=5, socket=0.2, quiet=30, poll=0.05, forgotten=0.2, lost=0.2)


@pytest.fixture
async def comfy() -> AsyncIterator[ScriptedComfy]:
    """An engine that misbehaves on request."""
    server = ScriptedComfy()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(comfy: ScriptedComfy) -> AsyncIterator[ComfyClient]:
    """A client of it."""
    engine = ComfyClient(comfy.url, patience=IMPATIENT)
    yield engine
    await engine.close()
