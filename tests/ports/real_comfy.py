"""The conformance suite on a real ComfyUI that runs already; by hand, for it is not part of the tests:

cp tests/ports/suite_nodes.py COMFYUI/custom_nodes/     (and start it)
COMFY=http://127.0.0.1:8188 python -m pytest tests/ports/real_comfy.py
"""

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from comfyserve.engines.remote import RemoteEngine
from comfyserve.ports import Engine
from tests.ports.engine_suite import EngineSuite, Graphs
from tests.ports.test_engine import COLOURS, EMPTY, GRAPHS, SAVE, node

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = node("SuiteSlow", image=["1", 0], steps=10_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real() -> AsyncIterator[RemoteEngine]:
    """The ComfyUI of the environment."""
    made = RemoteEngine(os.environ["COMFY"])
    await made.ready()
    yield made
    await made.close()


@pytest.fixture
def graphs() -> Graphs:
    """Without models, and with colours of their own, so that nothing comes from the engine's cache."""
    good = {"1": EMPTY | {"inputs": EMPTY["inputs"] | {"color": next(COLOURS)}}, "2": SAVE}
    endless = {"1": EMPTY, "2": SLOW, "3": SAVE | {"inputs": {"images": ["2", 0], "filename_prefix": "suite"}}}
    return replace(GRAPHS, good=good, endless=endless)


class TestReal(EngineSuite):
    """A ComfyUI of its makers."""

    @pytest.fixture
    def engine(self, real: RemoteEngine) -> Engine:
        return real
