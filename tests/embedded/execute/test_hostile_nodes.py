"""Nodes that behave badly cost their own prompt; the engine answers the next one."""

# ruff: noqa: N802 - names of ComfyUI's contract

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from typing import Any, ClassVar, NoReturn

import pytest

from comfyserve.embedded.files.folders import Folders
from tests.embedded.conftest import Seat, happens, serve

SHOW = {"class_type": "Fine", "inputs": {"value": "x"}}


def show(_: object, value: object = None) -> dict[str, Any]:
    return {"ui": {"text": [str(value)]}}


class Hostile:
    RETURN_TYPES: tuple[str, ...] = ()
    FUNCTION = "run"
    OUTPUT_NODE = True
    ends: ClassVar[str] = "error"
    """What becomes of a prompt with it: the status in the history, or `refused`."""
    run: Any = show

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}, "optional": {"value": ("*", {})}}


class Fine(Hostile):
    ends = "success"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no words")


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


class DeclarationFailsLater(Hostile):
    """Fails in the worker, not in the check."""

    error: ClassVar[BaseException] = RuntimeError("changed its mind")
    asked: ClassVar[Any] = itertools.count()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        if next(cls.asked):
            raise cls.error
        return {"required": {}}


class DeclarationExitsLater(DeclarationFailsLater):
    error = SystemExit(3)
    asked = itertools.count()


class DeclarationExits(Hostile):
    ends = "refused"

    @classmethod
    def INPUT_TYPES(cls) -> NoReturn:
        raise SystemExit(3)


class FingerprintExits(Hostile):
    """What IS_CHANGED raises means "run me"."""

    ends = "success"

    @classmethod
    def IS_CHANGED(cls, **_: object) -> NoReturn:
        raise SystemExit(3)


class FingerprintExitsLater(Hostile):
    ends = "success"

    @classmethod
    async def IS_CHANGED(cls, **_: object) -> NoReturn:
        await asyncio.sleep(0.01)
        raise SystemExit(3)


class FingerprintCancels(Hostile):
    ends = "success"

    @classmethod
    def IS_CHANGED(cls, **_: object) -> NoReturn:
        raise asyncio.CancelledError


class ValidatorExits(Hostile):
    ends = "refused"

    @classmethod
    def VALIDATE_INPUTS(cls, **_: object) -> NoReturn:
        raise SystemExit(3)


class ValidatorExitsLater(Hostile):
    ends = "refused"

    @classmethod
    async def VALIDATE_INPUTS(cls, **_: object) -> NoReturn:
        await asyncio.sleep(0.01)
        raise SystemExit(3)


class ValidatorCancels(Hostile):
    ends = "refused"

    @classmethod
    def VALIDATE_INPUTS(cls, **_: object) -> NoReturn:
        raise asyncio.CancelledError


class ValidatorIsUnspeakable(Hostile):
    ends = "refused"

    @classmethod
    def VALIDATE_INPUTS(cls, **_: object) -> NoReturn:
        raise Unspeakable


class LazyExits(Hostile):
    def check_lazy_status(self, **_: object) -> NoReturn:
        raise SystemExit(3)


class LazyExitsLater(Hostile):
    async def check_lazy_status(self, **_: object) -> NoReturn:
        await asyncio.sleep(0.01)
        raise SystemExit(3)


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


NODES: dict[str, type[Hostile]] = {
    cls.__name__: cls for cls in (*Hostile.__subclasses__(), *DeclarationFailsLater.__subclasses__())
}


class NeverEnds(Hostile):
    """Waits for ever, in an asynchronous method that the engine waits for."""

    entered: ClassVar[threading.Event]


class FingerprintNeverEnds(NeverEnds):
    entered = threading.Event()

    @classmethod
    async def IS_CHANGED(cls, **_: object) -> None:
        cls.entered.set()
        await asyncio.Event().wait()


class LazyNeverEnds(NeverEnds):
    entered = threading.Event()

    async def check_lazy_status(self, **_: object) -> None:
        self.entered.set()
        await asyncio.Event().wait()


class Three(Hostile):
    RETURN_TYPES = ("INT",)
    OUTPUT_IS_LIST = (True,)

    def run(self) -> tuple[list[int]]:
        return ([0, 1, 2],)


class HalfFails(Hostile):
    """Two calls go on, the third one fails at once."""

    ended: ClassVar[list[int]] = []

    def run(self, value: int) -> Any:
        if value == 2:
            raise ValueError("the third")
        return self.go_on(value)

    async def go_on(self, value: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(value)


MORE = {cls.__name__: cls for cls in (FingerprintNeverEnds, LazyNeverEnds, Three, HalfFails)}


@pytest.fixture
async def seat(folders: Folders) -> AsyncIterator[Seat]:
    async with serve(folders, nodes=NODES | MORE) as running:
        yield running


@pytest.mark.parametrize("name", sorted(NODES.keys() - {"Fine"}))
async def test_it_costs_its_own_prompt(seat: Seat, name: str) -> None:
    graph = {"1": {"class_type": name, "inputs": {}}, "2": {"class_type": name, "inputs": {"value": ["1", 0]}}}
    status, _ = await seat.submit(graph if NODES[name].RETURN_TYPES else {"1": graph["1"]}, prompt_id="bad")
    ends = NODES[name].ends
    assert status == (400 if ends == "refused" else 200)
    if status == 200:
        events = await seat.events("bad")
        assert ("execution_error" in dict(events)) == (ends == "error")
        record = (await seat.call("GET", "/history/bad"))[1]["bad"]
        assert record["status"]["status_str"] == ends
    _, record = await seat.run({"1": SHOW})
    assert record["outputs"] == {"1": {"text": ["x"]}}


async def test_a_declaration_that_exits_is_left_out(seat: Seat) -> None:
    status, info = await seat.call("GET", "/object_info")
    assert (status, "Fine" in info, "DeclarationExits" in info) == (200, True, False)


@pytest.mark.parametrize("node", [FingerprintNeverEnds, LazyNeverEnds])
async def test_what_never_ends_can_be_interrupted(seat: Seat, node: type[NeverEnds]) -> None:
    prompt_id = await seat.queue({"1": {"class_type": node.__name__, "inputs": {}}})
    await happens(node.entered)
    await seat.call("POST", "/interrupt", json={"prompt_id": prompt_id})
    assert "execution_interrupted" in dict(await seat.events(prompt_id))


async def test_calls_that_go_on_end_with_the_one_that_fails(seat: Seat) -> None:
    graph = {
        "1": {"class_type": "Three", "inputs": {}},
        "2": {"class_type": "HalfFails", "inputs": {"value": ["1", 0]}},
    }
    events, _ = await seat.run(graph)
    assert dict(events)["execution_error"]["exception_message"] == "the third\n"
    assert sorted(HalfFails.ended) == [0, 1]


def exits(_: dict[str, Any]) -> NoReturn:
    raise SystemExit(3)


async def test_a_pack_that_exits_at_a_prompt_changes_nothing(seat: Seat) -> None:
    seat.engine.packs.prompt_seen.append(exits)
    _, record = await seat.run({"1": SHOW})
    assert record["outputs"] == {"1": {"text": ["x"]}}


async def test_what_a_pack_adds_to_a_prompt_is_checked_too(seat: Seat) -> None:
    seat.engine.packs.prompt_seen.append(lambda wish: {**wish, "extra_data": {"added": float("nan")}})
    assert (await seat.submit({"1": SHOW}))[0] == 400


async def test_a_link_to_nothing_under_an_undeclared_name(seat: Seat) -> None:
    """Validation does not look there, and execution follows it: ComfyUI's worker ends, ours tells."""
    events, _ = await seat.run({"1": {"class_type": "Fine", "inputs": {"value": 1, "other": ["gone", 0]}}})
    assert dict(events)["execution_error"]["exception_type"] == "comfy_execution.graph.NodeNotFoundError"
