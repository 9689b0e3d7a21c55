"""The parts of solo alone: who may call, when it ends with its engine, what a warm-up is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from comfyserve.app.solo import going_on, models_folder, public_settings
from comfyserve.app.solo_callers import Callers
from comfyserve.app.solo_engines import EngineRoom
from comfyserve.app.solo_header import own_header
from comfyserve.app.warmup import checkpoint_of, read_graph
from comfyserve.core.errors import EngineLost, InvalidInput, Unauthorized
from comfyserve.engines.launch import Launch
from comfyserve.engines.process import EngineState, ProcessEngine
from comfyserve.settings import read_as
from comfyserve.solo_settings import PUBLIC_SETTINGS, SoloSettings

READY, BACKOFF, STARTING, STOPPING, FATAL = (
    EngineState.READY,
    EngineState.BACKOFF,
    EngineState.STARTING,
    EngineState.STOPPING,
    EngineState.FATAL,
)


def request(**headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": sent, "query_string": b""})


async def test_without_keys_everybody_calls_and_with_them_who_knows_one() -> None:
    nobody = Callers("w", [])
    assert not nobody.keyed and (await nobody(request())).workspace_id == "w"
    keyed = Callers("w", ["first-key-1", "second-key-2"])
    first = await keyed(request(authorization="Bearer first-key-1"))
    second = await keyed(request(x_api_key="second-key-2"))
    assert keyed.keyed and first.key_id != second.key_id and first.workspace_id == second.workspace_id == "w"
    assert "first" not in first.key_id + first.name
    for wrong in ({}, {"authorization": "Bearer first-key-"}, {"cookie": "comfyserve_session=first-key-1"}):
        with pytest.raises(Unauthorized):
            await keyed(request(**wrong))


@pytest.mark.parametrize(
    ("restart", "states", "ends"),
    [
        (False, [STARTING, READY, BACKOFF], True),
        (True, [STARTING, READY, BACKOFF, STARTING, READY], False),
        (False, [STARTING, READY, STOPPING, STARTING, READY], False),
        (False, [STARTING, BACKOFF, STARTING, READY], False),
        (False, [STARTING, BACKOFF, STARTING, FATAL], True),
        (True, [STARTING, FATAL], True),
        (True, [STARTING, READY, BACKOFF, STARTING, FATAL], False),
    ],
    ids=[
        "it ends",
        "it is restarted",
        "we restart it",
        "a slow start",
        "no start",
        "no start at all",
        "later no start",
    ],
)
async def test_when_the_program_ends_with_its_engine(restart: bool, states: list[EngineState], ends: bool) -> None:
    room, engine = EngineRoom(restart=restart), ProcessEngine(Launch(("false",)))
    for state in states:
        room.on_state(0, engine, state)
    assert room.ended.done() is ends
    assert room.up is (states[-1] is READY) and room.starts == states.count(READY)


async def test_a_start_wakes_who_waits_for_one() -> None:
    room, engine = EngineRoom(restart=True), ProcessEngine(Launch(("false",)))
    with pytest.raises(EngineLost):
        room.present()
    waiting = asyncio.create_task(room.another_start(0))
    await asyncio.sleep(0)
    assert not waiting.done()
    room.on_state(0, engine, READY)
    assert await asyncio.wait_for(waiting, 5) == 1


async def test_a_watcher_that_fails_is_started_again() -> None:
    tries, again = list[int](), asyncio.Event()

    async def work() -> None:
        tries.append(len(tries))
        if len(tries) > 1:
            again.set()
        raise ValueError("It broke.")

    with capture_logs() as lines:
        watching = asyncio.create_task(going_on("engines", work, 0))
        await asyncio.wait_for(again.wait(), 5)
        watching.cancel()
        await asyncio.wait([watching])
    assert lines[0]["event"] == "solo.watcher_failed" and lines[0]["watcher"] == "engines"


@pytest.mark.parametrize("failure", [EngineLost("It is away."), ValueError("no JSON")])
async def test_engines_elsewhere_are_looked_after(failure: Exception) -> None:
    room, asked_in_vain = EngineRoom(restart=True), asyncio.Event()
    answers: list[Any] = [True, failure]

    class Elsewhere:
        async def ready(self) -> None:
            if not answers[0]:
                asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, asked_in_vain.set)
                raise answers[1]

    engine: Any = Elsewhere()
    (make,) = room.keeping([lambda: engine])
    assert make() is room.present() is engine
    watching = asyncio.create_task(room.watch_elsewhere(0.01))
    answers[0] = False
    await asyncio.wait_for(asked_in_vain.wait(), 5)
    assert not room.up and room.running == 0
    answers[0] = True
    assert await asyncio.wait_for(room.another_start(0), 5) == 1 and room.up and room.running == 1
    watching.cancel()


def test_a_warm_up_is_a_graph_and_names_a_checkpoint() -> None:
    loader = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}}
    assert checkpoint_of({"1": {"class_type": "Other", "inputs": {}}, "2": loader}) == "a.safetensors"
    assert checkpoint_of(None) is None and checkpoint_of({"1": {**loader, "inputs": {"ckpt_name": ["2", 0]}}}) is None
    for text in ("no", "[]", '{"1": 2}', '{"1": {"inputs": {}}}'):
        with pytest.raises(InvalidInput, match="warm-up"):
            read_graph(text, "w.json")


def test_workflows_see_no_secret(tmp_path: Path) -> None:
    hidden = {"api_keys": "hush-hush-1", "hf_token": "hush", "webhook_secret": "hush", "comfy_headers": "X: hush"}
    addresses = {"warmup_url": "https://h/?k=hush", "system_webhook_url": "https://h/?k=hush"}
    header = {"http_auth_header_name": "X", "http_auth_header_value": "hush"}
    shown = public_settings(read_as(SoloSettings, **hidden, **addresses, **header, data_dir=tmp_path))
    assert "hush" not in str(shown) and shown["port"] == 3000


def test_what_workflows_see_is_a_list() -> None:
    """A setting that comes later is not shown before somebody has thought about it."""
    shown = public_settings(read_as(SoloSettings, comfy_env="HF_TOKEN=hush", comfy_args="--x hush"))
    assert shown.keys() == PUBLIC_SETTINGS and "hush" not in str(shown)
    assert PUBLIC_SETTINGS.isdisjoint({"database", "blobs", "comfy_url", "comfy_command", "comfy_args", "comfy_env"})


def test_the_header_goes_to_the_operator_s_hosts_alone() -> None:
    header = {"http_auth_header_name": "X-Key", "http_auth_header_value": "hush"}
    manifest = '{"models": {"before_start": [{"url": "https://models.example/a", "local_path": "a"}]}}'
    own = own_header(read_as(SoloSettings, **header, warmup_url="http://Warm.example/w", manifest_json=manifest))
    assert own is not None and own.for_url("https://models.example/b") and own.for_url("http://warm.example/x")
    assert own.for_url("https://elsewhere.example/b") is None
    named = own_header(read_as(SoloSettings, **header, http_auth_hosts="a.example, b.example"))
    assert named is not None and named.for_url("https://b.example/") and named.for_url("https://c.example/") is None
    assert own_header(read_as(SoloSettings)) is None


def test_where_models_lie(tmp_path: Path) -> None:
    settings = read_as(SoloSettings, data_dir=tmp_path, comfy_home="")
    assert models_folder(settings) == tmp_path / "engine" / "models"
    assert models_folder(read_as(SoloSettings, comfy_home="/srv")) == Path("/srv/models")
    assert models_folder(read_as(SoloSettings, comfy_home="/srv", comfy_models="/m")) == Path("/m")
    assert models_folder(read_as(SoloSettings, comfy_url="http://h:8188")) is None
