"""The embedded engine answers as real ComfyUI 0.3.64 did when real_answers.json was recorded."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from comfyserve.embedded import nodes
from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.routes.app import build_app

from .exchanges import RECORDED, Answer, everything

REAL: list[Answer] = json.loads(RECORDED.read_text())

DIFFERENCES: dict[str, dict[str, Any]] = {
    "POST /free": {"status": 400},
    "GET /history?max_items=x": {"status": 400},
    "POST /prompt [": {"status": 400},
}
"""Asked -> what differs on purpose: a wrong request is told as one, where ComfyUI answers 500."""

NOT_COMPARED = {
    "GET /system_stats": "without templates and on another machine some values are null",
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Answer]:
    return asyncio.run(_ask(tmp_path_factory.mktemp("base")))


async def _ask(base: Path) -> dict[int, Answer]:
    async for url in _served(base):
        return dict(enumerate(await everything(url)))
    raise AssertionError


async def _served(base: Path) -> AsyncIterator[str]:
    folders = Folders(base)
    folders.create()
    catalogue = Catalogue()
    catalogue.add(nodes.NODE_CLASS_MAPPINGS, nodes.NODE_DISPLAY_NAME_MAPPINGS)
    runner = web.AppRunner(build_app(build_engine(folders, catalogue)), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("index", "real"), list(enumerate(REAL)), ids=[answer["asked"][:80] for answer in REAL])
def test_it_answers_the_same(ours: dict[int, Answer], index: int, real: Answer) -> None:
    answer = ours[index]
    assert answer["asked"] == real["asked"]
    expected = {**real, **DIFFERENCES.get(real["asked"], {})}
    if real["asked"] in NOT_COMPARED:
        return
    if "frames" in real:
        assert [_kind(frame) for frame in answer["frames"]] == [_kind(frame) for frame in real["frames"]]
        assert list(_missing(expected, answer)) == []
        return
    assert (answer["status"], answer["headers"]) == (expected["status"], expected["headers"])
    # Where ComfyUI says nothing of an error, or fails itself, we may say why.
    if expected["status"] < 400 or (expected["body"] and expected["status"] == real["status"]):
        assert answer["content_type"] == real["content_type"]
        assert list(_missing(real["body"], answer["body"])) == []


def _kind(frame: Any) -> str:
    return frame if isinstance(frame, str) else frame[0]


def _missing(real: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where our shape lacks something of the real one; we may have more, and a list may be empty on either side."""
    if isinstance(real, dict) and isinstance(ours, dict):
        for key in real:
            if key in ours:
                yield from _missing(real[key], ours[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is missing"
    elif isinstance(real, list) and isinstance(ours, list):
        for index, (one, other) in enumerate(zip(real, ours, strict=False)):
            yield from _missing(one, other, f"{path}[{index}]")
    elif real != ours:
        yield f"{path}: {real!r} there, {ours!r} here"
