"""A ComfyUI at a URL."""

import pytest

from comfyserve.core.errors import EngineLost, InvalidInput
from comfyserve.engines.remote import RemoteEngine
from tests.engines.conftest import IMPATIENT
from tests.engines.scripted_comfy import ScriptedComfy


async def test_it_is_ready_when_it_answers(comfy: ScriptedComfy) -> None:
    engine = RemoteEngine(comfy.url + "/", patience=IMPATIENT)
    await engine.ready()
    assert len(comfy.sockets) == 1
    await engine.close()


async def test_an_address_where_nobody_answers_is_lost(comfy: ScriptedComfy) -> None:
    await comfy.stop()
    engine = RemoteEngine(comfy.url, patience=IMPATIENT, ready_seconds=0.2)
    with pytest.raises(EngineLost, match="Is ComfyUI running there"):
        await engine.ready()
    await engine.close()


@pytest.mark.parametrize("url", ["", "host:8188", "ftp://host", "http://"])
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(InvalidInput, match="http://host:8188"):
        RemoteEngine(url)
