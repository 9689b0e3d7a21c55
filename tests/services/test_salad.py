"""SaladCloud hears of every change of the depth, soon and seldom; its variables are part of the metadata."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from comfyserve.core.errors import FetchFailed
from comfyserve.services.depth import Depth
from comfyserve.services.salad import METADATA_URL, DeletionCost, is_on_salad, system_metadata
from tests.services.bundle import Bundle


class Metadata:
    """The metadata service; what it takes is in `told`. `failures`: how it fails before it takes more."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.failures: list[int | Exception] = []
        self.arrived = asyncio.Event()

    async def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Take what it is told."""
        assert url == METADATA_URL
        assert headers == {"Metadata": "true", "Content-Type": "application/json"}
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        self.told.append(json.loads(body)["deletion_cost"])
        self.arrived.set()
        return 200

    async def hears(self, number: int) -> None:
        """Return when the last number that it was told is this one."""
        async with asyncio.timeout(20):
            while not self.told or self.told[-1] != number:
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def at_work(bundle: Bundle, metadata: Metadata) -> AsyncIterator[Depth]:
    depth = Depth(bundle.db, bundle.bell, pause=0)
    cost = DeletionCost(metadata.put, depth, pause=0, again=0)
    tasks = [asyncio.create_task(depth.run()), asyncio.create_task(cost.run())]
    yield depth
    for task in tasks:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


FAILURES = [FetchFailed("It is not there."), 500, 302]


@pytest.mark.parametrize("failures", [[], FAILURES], ids=["taken", "not taken"])
async def test_every_change_is_told(bundle: Bundle, failures: list[int | Exception]) -> None:
    metadata = Metadata()
    metadata.failures += failures
    async with at_work(bundle, metadata) as depth:
        await metadata.hears(0)
        first, second = [await bundle.run() for _ in range(2)]
        await metadata.hears(2)
        claim = await bundle.claim()
        assert await depth.look() == 2
        await bundle.finish(claim)
        await metadata.hears(1)
        assert claim.run.id == first.id
        metadata.failures += failures
        await bundle.cancel.cancel(bundle.caller, second.id)
        await metadata.hears(0)
    assert metadata.failures == []
    assert all(one != other for one, other in zip(metadata.told, metadata.told[1:], strict=False))


async def test_a_service_that_hangs_is_told_the_newest_number_then(bundle: Bundle) -> None:
    told: list[int] = []
    hanging, goes_on = asyncio.Event(), asyncio.Event()

    async def put(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        told.append(json.loads(body)["deletion_cost"])
        hanging.set()
        await goes_on.wait()
        return 204

    depth = Depth(bundle.db, bundle.bell)
    cost = asyncio.create_task(DeletionCost(put, depth, pause=0).run())
    await depth.look()
    await asyncio.wait_for(hanging.wait(), 10)
    for _ in range(5):
        await bundle.run()
        await depth.look()
    hanging.clear()
    goes_on.set()
    await asyncio.wait_for(hanging.wait(), 10)
    assert told == [0, 5]
    cost.cancel()


ENVIRONMENT: dict[str, Any] = {
    "SYSTEM_META_Region": "eu",
    "SYSTEM_META_empty": "",
    "SALAD_MACHINE_ID": "m-1",
    "SALAD_PROJECT_NAME": "",
    "SALAD_OTHER": "x",
    "PATH": "/bin",
}


def test_metadata_is_read_from_the_environment() -> None:
    assert system_metadata(ENVIRONMENT) == {"Region": "eu", "salad_machine_id": "m-1"}
    assert is_on_salad(ENVIRONMENT)
    assert not is_on_salad({"SALAD_OTHER": "x", "SALAD_MACHINE_ID": ""})
