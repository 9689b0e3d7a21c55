"""The files of a graph are in the cache before the run waits, and a wrong address has its place."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.credentials import BearerAuth, Credential
from comfyserve.core.errors import EngineLost, FetchFailed, InvalidInput, Place
from comfyserve.core.graph import Graph, parse_graph
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.fetching import Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.services.prefetch import Prefetch
from comfyserve.testing import ScriptedEngine
from comfyserve.work.stage.told import Telling
from tests.fetch.cache.scripted import File, ScriptedSource

PICTURE, MODEL = "http://host.example/a.png", "http://host.example/m.safetensors"
SAFE = (2).to_bytes(8, "little") + b"{}"
CATALOGUE = {"Odd": {"input": {"required": {"file": [["one.pt"], {}]}}}}


@dataclass
class Shop:
    """The use case over a scripted origin."""

    source: ScriptedSource
    fetching: Fetching
    engine: ScriptedEngine = field(default_factory=lambda: ScriptedEngine([], object_info=CATALOGUE))

    async def prefetch(self, graph: dict[str, Any], *credentials: Credential, at_once: int = 8, most: int = 10) -> None:
        service = Prefetch(self.fetching, Telling(self.engine, 60).about, at_once=at_once, most=most)
        await service.prefetch(parse_graph(graph), credentials)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    store = Store(tmp_path / "cache", 0)
    store.open()
    source = ScriptedSource({PICTURE: File(b"picture"), MODEL: File(SAFE)})
    made = Shop(source, Fetching({"http": source}, store, Guard("off"), FetchingLimits(), clock=time.time))
    yield made
    await made.fetching.close()


def loads(picture: str = PICTURE, model: str = MODEL) -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "2": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "3": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}},
        "4": {"class_type": "LoadImage", "inputs": {"image": "data:image/png;base64,AAAA"}},
        "5": {"class_type": "LoadImage", "inputs": {"image": "own.png"}},
    }


async def test_each_address_is_fetched_once(shop: Shop) -> None:
    await shop.prefetch(loads())
    await shop.prefetch(loads())
    assert shop.source.downloads == {PICTURE: 1, MODEL: 1}
    async with shop.fetching.fetch(PICTURE) as fetched:
        assert fetched.cached


@pytest.mark.parametrize(
    ("url", "place"),
    [(PICTURE, Place(node_id="1", field="image")), (MODEL, Place(node_id="3", field="ckpt_name"))],
)
async def test_what_fails_has_its_place(shop: Shop, url: str, place: Place) -> None:
    shop.source.files[url] = File(error=FetchFailed("The host says no."))
    with pytest.raises(FetchFailed) as caught:
        await shop.prefetch(loads())
    assert caught.value.place == place


async def test_credentials_open_what_they_match(shop: Shop) -> None:
    shop.source.files[PICTURE] = File(token="secret")
    with pytest.raises(FetchFailed):
        await shop.prefetch(loads())
    await shop.prefetch(loads(), Credential("http://host.example/*", BearerAuth("secret")))


async def test_only_a_few_at_once_and_not_too_many(shop: Shop) -> None:
    urls = [f"http://host{number}.example/{number}.png" for number in range(6)]
    gate, both = asyncio.Event(), asyncio.Event()
    shop.source.files |= {url: File(url.encode(), gate=gate) for url in urls}
    shop.source.before = lambda path: both.set() if shop.source.busy == 2 else None
    graph = {str(n): {"class_type": "LoadImage", "inputs": {"image": url}} for n, url in enumerate(urls)}
    fetching = asyncio.create_task(shop.prefetch(graph, at_once=2))
    await asyncio.wait_for(both.wait(), 20)
    async with shop.fetching.fetch(PICTURE):
        assert sum(shop.source.downloads[url] for url in urls) == 2  # a third had time to begin
    gate.set()
    await fetching
    assert sum(shop.source.downloads[url] for url in urls) == 6
    with pytest.raises(InvalidInput, match="more than 5 files"):
        await shop.prefetch(graph, most=5)


async def test_a_field_that_only_the_engine_knows_is_asked_for(shop: Shop) -> None:
    shop.engine.models["odd"] = {"one.pt": Path("one.pt")}
    await shop.prefetch({"1": {"class_type": "Odd", "inputs": {"file": MODEL}}})
    assert shop.source.downloads == {MODEL: 1}


async def test_an_engine_that_is_away_does_not_keep_the_call_waiting(shop: Shop) -> None:
    async def lost(graph: Graph) -> Any:
        raise EngineLost("The engine is gone.")

    await Prefetch(shop.fetching, lost).prefetch(parse_graph(loads()))
    assert shop.source.downloads == {PICTURE: 1, MODEL: 1}


async def test_a_caller_who_leaves_stops_what_nobody_else_wants(shop: Shop) -> None:
    shop.source.files[PICTURE] = File(b"picture", gate=asyncio.Event())
    waiting = asyncio.create_task(shop.prefetch(loads()))
    await asyncio.wait_for(shop.source.started.wait(), 5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    shop.source.files[PICTURE].gate = None
    await shop.prefetch(loads())
