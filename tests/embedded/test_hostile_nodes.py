"""Nodes that behave badly cost their own prompt; the engine answers the next one."""

# ruff: noqa: N802 - names of ComfyUI's contract

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest

from comfyserve.embedded.folders import Folders

from .conftest import Seat, serve

SHOW = {"class_type": "Fine", "inputs": {"value": "x"}}


class Hostile:
    RETURN_TYPES: tuple[str, ...] = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}, "optional": {"value": ("*", {})}}


class Fine(Hostile):
    def run(self, value: object) -> dict[str, Any]:
        return {"ui": {"text": [str(value)]}}


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class RaisesUnspeakable(Hostile):
    def run(self) -> NoReturn:
        raise Unspeakable


class Interrupts(Hostile):
    def run(self) -> NoReturn:
        raise KeyboardInterrupt


class ExitsLater(Hostile):
    async def run(self) -> NoReturn:
        await asyncio.sleep(0.01)
        raise SystemExit(3)


class CancelsItself(Hostile):
    async def run(self) -> NoReturn:
        await asyncio.sleep(0.01)
        raise asyncio.CancelledError


class Recurses(Hostile):
    def run(self) -> NoReturn:
        self.run()
        raise AssertionError


class ShowsACircle(Hostile):
    def run(self) -> dict[str, Any]:
        circle: list[Any] = []
        circle.append(circle)
        return {"ui": {"text": circle}}


class ShowsAHugeNumber(Hostile):
    def run(self) -> dict[str, Any]:
        return {"ui": {"text": [10**5000]}}


class FailsOnAHugeNumber(Hostile):
    RETURN_TYPES = ("*",)

    def run(self, value: object = None) -> tuple[int]:
        if value is not None:
            raise ValueError("too large")
        return (10**5000,)


class HasNoObject(Hostile):
    def __init__(self) -> None:
        raise RuntimeError("cannot be made")


class HasNoDeclaration(Hostile):
    asked = 0

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        cls.asked += 1
        if cls.asked > 1:
            raise RuntimeError("changed its mind")
        return {"required": {}}

    def run(self) -> tuple[()]:
        return ()


class ExpandsIntoNonsense(Hostile):
    def run(self) -> dict[str, Any]:
        return {"expand": {"x": "no node"}, "result": ()}


class ExpandsWithoutInputs(Hostile):
    def run(self) -> dict[str, Any]:
        return {"expand": {"x": {"class_type": "Fine"}}, "result": (["x", 0],)}


class LinksToNothing(Hostile):
    RETURN_TYPES = ("*",)

    def run(self) -> dict[str, Any]:
        return {"expand": {}, "result": (["nowhere", 0],)}


NODES = {cls.__name__: cls for cls in Hostile.__subclasses__()}


@pytest.fixture
async def seat(folders: Folders) -> AsyncIterator[Seat]:
    async with serve(folders, nodes=NODES) as running:
        yield running


@pytest.mark.parametrize("name", sorted(NODES.keys() - {"Fine"}))
async def test_it_costs_its_own_prompt(seat: Seat, name: str) -> None:
    graph = {"1": {"class_type": name, "inputs": {}}, "2": {"class_type": name, "inputs": {"value": ["1", 0]}}}
    status, _ = await seat.submit(graph if NODES[name].RETURN_TYPES else {"1": graph["1"]}, prompt_id="bad")
    if status == 200:
        events = await seat.events("bad")
        assert "execution_error" in dict(events)
        record = (await seat.call("GET", "/history/bad"))[1]["bad"]
        assert record["status"]["status_str"] == "error"
    _, record = await seat.run({"1": SHOW})
    assert record["outputs"] == {"1": {"text": ["x"]}}


async def test_a_link_to_nothing_under_an_undeclared_name(seat: Seat) -> None:
    """Validation does not look there, and execution follows it: ComfyUI's worker ends, ours tells."""
    events, _ = await seat.run({"1": {"class_type": "Fine", "inputs": {"value": 1, "other": ["gone", 0]}}})
    assert dict(events)["execution_error"]["exception_type"] == "comfy_execution.graph.NodeNotFoundError"
