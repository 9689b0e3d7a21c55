"""How solo is while its engines start, end and are warmed again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from comfyserve.app.solo_engines import EngineRoom
from comfyserve.app.solo_life import Life, SoloEnds
from comfyserve.engines.launch import Launch
from comfyserve.engines.process import EngineState, ProcessEngine
from tests.services.bundle import Bundle, open_bundle

ENGINE = ProcessEngine(Launch(("false",)))


class Warming:
    """A warm-up that ends when it is told how."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def run(self, times: int = 1) -> str:
        self.begun.put_nowait(times)
        return await self.ends.get()


@pytest.fixture
async def bundle(tmp_path: Path) -> AsyncIterator[Bundle]:
    opened = await open_bundle(tmp_path)
    await opened.machines.report_state(opened.machine_id, "ready", None)
    yield opened
    await opened.db.close()


def life_of(bundle: Bundle, room: EngineRoom, warming: Warming, **options: Any) -> Life:
    async def start_work() -> None:
        room.on_state(0, ENGINE, EngineState.READY)

    async def warm_up() -> Any:
        return warming

    around: Any = SimpleNamespace(
        base=SimpleNamespace(bell=bundle.bell),
        services=SimpleNamespace(machines=bundle.machines),
        machine_id=bundle.machine_id,
        start_work=start_work,
    )
    return Life(around, room, warm_up, **options)


async def soon(queue: "asyncio.Queue[int]") -> int:
    return await asyncio.wait_for(queue.get(), 10)


async def test_a_second_engine_is_warmed_beside_the_warm_one_and_may_fail(bundle: Bundle) -> None:
    room, warming = EngineRoom(restart=True), Warming()
    life = life_of(bundle, room, warming, missing=lambda: "a.safetensors: it is not there.")
    living = asyncio.create_task(life.live())
    assert await soon(warming.begun) == 1
    before = await life.condition()
    assert not before.healthy and not before.ready and before.reason == "The warm-up runs."
    warming.ends.put_nowait("")
    await asyncio.wait_for(life.healthy.wait(), 10)
    room.on_state(1, ENGINE, EngineState.READY)
    assert await soon(warming.begun) == 1
    meanwhile = await life.condition()
    assert meanwhile.ready and meanwhile.reason == "a.safetensors: it is not there."
    warming.ends.put_nowait("It broke.")
    for number in (0, 1):
        room.on_state(number, ENGINE, EngineState.BACKOFF)
        room.on_state(number, ENGINE, EngineState.READY)
    assert await soon(warming.begun) == 2
    both_cold = await life.condition()
    assert not both_cold.ready and both_cold.healthy and not living.done()
    living.cancel()
    await asyncio.wait([living])


async def test_the_first_warm_up_that_fails_ends_the_program(bundle: Bundle) -> None:
    warming = Warming()
    warming.ends.put_nowait("It broke.")
    with pytest.raises(SoloEnds, match="It broke"):
        await asyncio.wait_for(life_of(bundle, EngineRoom(restart=True), warming).live(), 10)
