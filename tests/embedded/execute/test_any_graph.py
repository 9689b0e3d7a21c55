"""Whatever graph comes: a documented answer, an end, and an engine that goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyserve.embedded.context import EngineSettings
from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.routes.app import build_app
from tests.embedded.execute.scenarios import Graph

END_SECONDS = 30
NUMBERS = st.sampled_from([0, 1, 2, 3, 8, 16, 64, 0.5, 1.0, -1, -0.5])
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, -1, 10**30, 1e308, "", "x" * 1000, "NaN", "-inf", "1e400", "9" * 5000, "../../etc/passwd"),
        *("\ud800", "a\x00b", {}, {"__value__": [1]}, {"__value__": {"__value__": 1}}, {"a": {"b": []}}),
        *(
            [],
            [1],
            ["n0"],
            ["n0", 99],
            ["n0", -1],
            ["n0", "0"],
            ["n0", 0.0],
            ["n0", True],
            [0, 0],
            [[], 0],
            ["none", 0],
        ),
    ]
)
EXTRA = {"nothing": None, "a.b": 1, "": 0}
SOURCES = {
    "IMAGE": "EmptyImage",
    "MASK": "SolidMask",
    "LATENT": "EmptyLatentImage",
    "AUDIO": "EmptyAudio",
    "MODEL": "CheckpointLoaderSimple",
    "CLIP": "CheckpointLoaderSimple",
    "VAE": "CheckpointLoaderSimple",
    "CONDITIONING": "CLIPTextEncode",
    "VIDEO": "CreateVideo",
}
OUTPUTS = ("PreviewAny", "PreviewImage", "SaveImage", "MaskPreview", "PreviewAudio")


class Running:
    """An engine with all nodes of its own, driven from synchronous tests."""

    def __init__(self, loop: asyncio.Runner, url: str, session: ClientSession, info: dict[str, Any]) -> None:
        self.loop, self.url, self.session, self.info = loop, url, session, info

    def run(self, graph: Graph) -> None:
        self.loop.run(self._run(graph))

    async def _run(self, graph: Graph) -> None:
        async with self.session.post(f"{self.url}/prompt", data=json.dumps({"prompt": graph})) as response:
            answer = await response.json()
        assert response.status in (200, 400), answer
        if response.status == 400:
            assert answer["error"]["type"]
            return
        record = await self._record(answer["prompt_id"])
        json.dumps(record, allow_nan=False)
        assert record["status"]["status_str"] in ("success", "error")
        messages = [name for name, _ in record["status"]["messages"]]
        assert messages[-1] in ("execution_success", "execution_error")

    async def _record(self, prompt_id: str) -> dict[str, Any]:
        async with asyncio.timeout(END_SECONDS):
            while True:
                async with self.session.get(f"{self.url}/history/{prompt_id}") as response:
                    found = await response.json()
                if found:
                    record: dict[str, Any] = found[prompt_id]
                    return record


@asynccontextmanager
async def engine(base: Path) -> AsyncIterator[tuple[str, ClientSession, dict[str, Any]]]:
    folders = Folders(base)
    folders.create()
    app = build_app(build_engine(folders, load_catalogue(folders), None, EngineSettings(step_ms=0)))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as session:
            async with session.get(f"{url}/object_info") as response:
                info = await response.json()
            yield url, session, info
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with asyncio.Runner() as loop:
        started = engine(tmp_path_factory.mktemp("any"))
        parts = loop.run(started.__aenter__())
        try:
            yield Running(loop, *parts)
        finally:
            loop.run(started.__aexit__(None, None, None))


def test_a_graph_of_anything_has_an_end(running: Running) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(graphs(running.info))
    def holds(graph: Graph) -> None:
        running.run(graph)

    holds()
    running.run({"n": {"class_type": "PreviewAny", "inputs": {"source": "still here"}}})


@st.composite
def graphs(draw: st.DrawFn, info: dict[str, Any]) -> Graph:
    """A few nodes with fitting values and links, some of them wrong, and outputs for what they give."""
    names = sorted(info)
    graph: Graph = {}
    for index in range(draw(st.integers(1, 5))):
        name = draw(st.sampled_from(names))
        graph[f"n{index}"] = {"class_type": name, "inputs": draw(inputs(info, name, graph))}
    for name in draw(st.lists(st.sampled_from(OUTPUTS), min_size=1, max_size=2)):
        graph[f"o{name}"] = {"class_type": name, "inputs": draw(inputs(info, name, graph))}
    return graph


@st.composite
def inputs(draw: st.DrawFn, info: dict[str, Any], name: str, graph: Graph) -> dict[str, Any]:
    declared = info[name]["input"]
    entries = [(group, *entry) for group in ("required", "optional") for entry in declared.get(group, {}).items()]
    made: dict[str, Any] = {}
    for group, key, config in entries:
        chance = draw(st.integers(0, 19))
        if chance == 0:
            made[key] = draw(JUNK)
        elif chance > 1 and (group == "required" or chance > 10):
            draw(source_for(info, config[0], graph))
            made[key] = draw(fitting(info, config, graph))
    if draw(st.integers(0, 9)) == 0:
        made.update(EXTRA)
    return made


@st.composite
def source_for(draw: st.DrawFn, info: dict[str, Any], kind: Any, graph: Graph) -> None:
    """Put a node into the graph that gives this type, where one is known."""
    source = SOURCES.get(kind) if isinstance(kind, str) else None
    if source is not None and source not in graph:
        graph[source] = {"class_type": source, "inputs": {}}
        graph[source]["inputs"] = draw(inputs(info, source, graph))


def fitting(info: dict[str, Any], config: list[Any], graph: Graph) -> st.SearchStrategy[Any]:
    kind = config[0]
    options = config[1] if len(config) > 1 else {}
    choices = kind if isinstance(kind, list) else options.get("options")
    links = [
        [source, slot]
        for source, found in graph.items()
        for slot, given in enumerate(info[found["class_type"]]["output"])
        if kind == "*" or given == kind
    ]
    values: dict[Any, st.SearchStrategy[Any]] = {
        "INT": NUMBERS,
        "FLOAT": NUMBERS,
        "STRING": st.text(max_size=8),
        "BOOLEAN": st.booleans(),
    }
    if isinstance(choices, list) and choices:
        return st.sampled_from(choices)
    if isinstance(kind, str) and kind in values:
        default = options.get("default")
        plain = values[kind] if default is None else st.one_of(st.just(default), values[kind])
        return st.one_of(plain, st.sampled_from(links)) if links else plain
    return st.sampled_from(links) if links else JUNK


BAD_BODIES = {
    "not JSON": b"{",
    "not an object": b"[]",
    "NaN": b'{"prompt": {"1": {"class_type": "PreviewAny", "inputs": {"source": NaN}}}}',
    "infinity": b'{"prompt": {"1": {"class_type": "PreviewAny", "inputs": {"source": 1e400}}}}',
    "a number of 5000 digits": b'{"prompt": {"1": {"class_type": "PreviewAny", "inputs": {"source": '
    + b"9" * 5000
    + b"}}}}",
    "deep": b'{"prompt": ' + b'{"a":' * 300 + b"1" + b"}" * 301,
    "deeper": b"[" * 100_000,
    "no graph": b"{}",
    "a list for a graph": b'{"prompt": []}',
    "too many nodes": json.dumps({"prompt": {str(i): {} for i in range(20_001)}}).encode(),
    "no node": b'{"prompt": {"1": 5}}',
    "an unknown class": b'{"prompt": {"1": {"class_type": "Nope", "inputs": {}}}}',
    "a class that is no text": b'{"prompt": {"1": {"class_type": ["PreviewAny"], "inputs": {}}}}',
    "inputs that are no object": b'{"prompt": {"1": {"class_type": "PreviewAny", "inputs": [1]}}}',
    "a number that is none": b'{"prompt": {"1": {"class_type": "PreviewAny", "inputs": {"source": 1}}}, "number": "x"}',
    "targets that are no list": b'{"prompt": {}, "partial_execution_targets": 5}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_refused_with_a_reason(running: Running, body: bytes) -> None:
    async def send() -> tuple[int, Any]:
        async with running.session.post(f"{running.url}/prompt", data=body) as response:
            return response.status, await response.json()

    status, answer = running.loop.run(send())
    assert status == 400
    assert answer["error"]["type"] in {
        *("invalid_json", "invalid_request", "invalid_prompt", "no_prompt", "prompt_no_outputs"),
        "prompt_outputs_failed_validation",
    }
    assert answer["error"]["message"]


def wide(count: int) -> Graph:
    outputs = {f"s{i}": {"class_type": "PreviewAny", "inputs": {"source": ["0", 0]}} for i in range(count)}
    return {"0": {"class_type": "PrimitiveInt", "inputs": {"value": 1}}, **outputs}


def test_a_graph_of_twenty_thousand_nodes_runs(running: Running) -> None:
    running.run(wide(19_999))
