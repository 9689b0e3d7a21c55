"""A ComfyUI at a URL."""

import asyncio

import pytest

from comfyserve.core.errors import EngineLost, InvalidInput
from comfyserve.engines.remote import RemoteEngine, split_login
from comfyserve.ports import Outcome
from tests.engines.conftest import IMPATIENT
from tests.engines.scripted_comfy import ScriptedComfy, graph


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


async def test_its_headers_go_with_every_request_and_with_the_socket(comfy: ScriptedComfy) -> None:
    headers = {"Authorization": "Bearer s3cret", "X-Key": "1"}
    engine = RemoteEngine(comfy.url, headers=headers, patience=IMPATIENT)
    await engine.ready()
    async with engine.execute("p1", graph("Picture"), {}) as events:
        [file] = [event.outputs[0].file async for event in events if isinstance(event, Outcome)]
    assert file is not None
    async with engine.open(file):
        pass
    await engine.forget(["p1"], [])
    await engine.close()
    assert set(comfy.keys) == {"/system_stats", "/ws", "/prompt", "/history/{prompt_id}", "/view", "/history"}
    assert {key for keys in comfy.keys.values() for key in keys} == {("Bearer s3cret", "1")}


async def test_a_login_in_the_address_becomes_a_header_and_is_never_shown(comfy: ScriptedComfy) -> None:
    engine = RemoteEngine(comfy.url.replace("//", "//me:s3cr%40t@"), patience=IMPATIENT, ready_seconds=0.1)
    await engine.ready()
    assert {key for keys in comfy.keys.values() for key in keys} == {("Basic bWU6czNjckB0", None)}
    await comfy.stop()
    with pytest.raises(EngineLost) as caught:
        await engine.ready()
    assert "s3cr" not in str(caught.value) and "me:" not in str(caught.value)
    await engine.close()
    assert split_login("https://a:b@host/comfy") == ("https://host/comfy", {"Authorization": "Basic YTpi"})


async def test_an_engine_that_wants_a_key_and_gets_none_is_lost_and_says_why(comfy: ScriptedComfy) -> None:
    comfy.wanted_key = "Bearer s3cret"
    engine = RemoteEngine(comfy.url, patience=IMPATIENT, ready_seconds=3600)
    with pytest.raises(EngineLost, match=r"answers 401.*COMFYSERVE_COMFY_HEADERS to what it wants\.$"):
        await asyncio.wait_for(engine.ready(), 10)
    await engine.close()


@pytest.mark.parametrize("url", ["", "host:8188", "ftp://host", "http://"])
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(InvalidInput, match="http://host:8188"):
        RemoteEngine(url)
