"""Events can be read from any point, streams end with their run, waiting ends in time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from comfyserve.core.errors import InvalidInput, NotFound
from comfyserve.core.runs import Fact, FactKind, Status
from comfyserve.ports import Downloading, Preview, Progress
from comfyserve.services.live import KINDS
from comfyserve.services.records import EventView, RunView
from tests.services.bundle import Bundle

Value = EventView | Progress | Preview | Downloading
Stream = AsyncGenerator[Value, None]


async def stream(bundle: Bundle, run: RunView, after: int = 0) -> Stream:
    """A stream of a run, one value at a time."""
    async with aclosing(bundle.watch.stream(bundle.caller, run.id, after)) as batches:
        async for batch in batches:
            for value in batch:
                yield value


async def collect(values: Stream) -> list[Any]:
    """Everything until the stream ends, events by their kind."""
    async with asyncio.timeout(10):
        return [value.kind if isinstance(value, EventView) else value async for value in values]


WHOLE = ["submitted", "claimed", "started", "executed", "succeeded"]


async def test_a_finished_run_is_told_whole(bundle: Bundle) -> None:
    run = await bundle.run()
    await bundle.finish(await bundle.claim())
    assert await collect(stream(bundle, run)) == WHOLE
    assert await collect(stream(bundle, run, after=3)) == WHOLE[3:]
    assert await collect(stream(bundle, run, after=5)) == []
    assert await collect(stream(bundle, run, after=99)) == []


async def test_a_stream_follows_its_run_to_the_end(bundle: Bundle) -> None:
    run = await bundle.run()
    following = asyncio.ensure_future(collect(stream(bundle, run)))
    claim = await bundle.claim()
    await bundle.finish(claim)
    assert await following == WHOLE


async def test_several_readers_see_the_same(bundle: Bundle) -> None:
    run = await bundle.run()
    following = [asyncio.ensure_future(collect(stream(bundle, run))) for _ in range(5)]
    await bundle.finish(await bundle.claim())
    assert await asyncio.gather(*following) == [WHOLE] * 5


async def test_live_values_come_between_events(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    values = stream(bundle, run)
    assert [_kind(await anext(values)) for _ in range(2)] == WHOLE[:2]
    bundle.live.put(run.id, Progress("2", 1, 20))
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.STARTED)])
    assert _kind(await anext(values)) == "started", "a value from before the start came first"
    progress = Progress("2", 3, 20)
    waiting = asyncio.ensure_future(anext(values))
    await asyncio.sleep(0)
    bundle.live.put(run.id, progress)
    assert await asyncio.wait_for(waiting, 10) == progress
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.EXECUTED), Fact(FactKind.SUCCEEDED)])
    assert await collect(values) == WHOLE[3:]


async def test_downloads_are_told_while_a_run_gets_ready_each_file_for_itself(bundle: Bundle) -> None:
    run = await bundle.run()
    model = Downloading("ckpt", "host/a.safetensors", 10, 100)
    bundle.live.put(run.id, model)
    values = stream(bundle, run)
    assert _kind(await anext(values)) == "submitted"
    claimed = asyncio.ensure_future(anext(values))
    await bundle.claim()
    assert _kind(await asyncio.wait_for(claimed, 10)) == "claimed", "a value from before the claim came first"
    waiting = asyncio.ensure_future(anext(values))
    await asyncio.sleep(0)
    last = [Downloading("ckpt", "host/a.safetensors", 60, 100), Downloading("lora", "host/b.safetensors", 5)]
    bundle.live.put(run.id, Progress("2", 1, 20))
    for value in (model, *last):
        bundle.live.put(run.id, value)
    told = [await asyncio.wait_for(waiting, 10), await asyncio.wait_for(anext(values), 10)]
    assert told == last
    await values.aclose()


async def test_the_last_value_of_each_kind_is_kept_for_readers_to_come_up_to_a_number(bundle: Bundle) -> None:
    run = await bundle.run()
    for number in range(KINDS + 5):
        bundle.live.put(run.id, Downloading("image", f"host/{number}.png", 1, 1))
    bundle.live.put(run.id, Progress("2", 1, 20))
    async with bundle.live.watch(run.id) as values:
        told = [await anext(values) for _ in range(KINDS)]
    assert isinstance(told[0], Downloading) and told[0].name == "host/6.png"
    assert told[-1] == Progress("2", 1, 20)


def _kind(value: Value) -> str:
    assert isinstance(value, EventView)
    return value.kind


async def test_a_stream_that_is_left_leaves_nothing_behind(bundle: Bundle) -> None:
    run = await bundle.run()
    before = asyncio.all_tasks()
    values = stream(bundle, run)
    await anext(values)
    waiting = asyncio.ensure_future(anext(values))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await values.aclose()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_events_come_in_pages(bundle: Bundle) -> None:
    run = await bundle.run()
    await bundle.finish(await bundle.claim())
    first = await bundle.watch.events(bundle.caller, run.id, limit=2)
    assert ([event.seq for event in first.items], first.next_cursor) == ([1, 2], "2")
    rest = await bundle.watch.events(bundle.caller, run.id, after=int(str(first.next_cursor)))
    assert ([event.seq for event in rest.items], rest.next_cursor) == ([3, 4, 5], None)


@pytest.mark.parametrize("after", [-1, 2**40])
async def test_absurd_cursors_are_refused(bundle: Bundle, after: int) -> None:
    run = await bundle.run()
    with pytest.raises(InvalidInput):
        await bundle.watch.events(bundle.caller, run.id, after=after)


async def test_waiting_ends_with_the_run(bundle: Bundle) -> None:
    run = await bundle.run()
    waiting = asyncio.ensure_future(bundle.watch.wait(bundle.caller, run.id, 30))
    await bundle.finish(await bundle.claim())
    assert (await asyncio.wait_for(waiting, 10)).status is Status.SUCCESS


async def test_waiting_ends_in_time(bundle: Bundle) -> None:
    run = await bundle.run()
    assert (await bundle.watch.wait(bundle.caller, run.id, 0.02)).status is Status.QUEUED


async def test_a_failure_ends_a_stream_after_its_event(bundle: Bundle) -> None:
    run = await bundle.run()
    claim = await bundle.claim()
    error = {"code": "engine_error", "message": "no"}
    await bundle.record.apply(run.id, claim.lease.token, [Fact(FactKind.FAILED, {"error": error})])
    assert await collect(stream(bundle, run)) == ["submitted", "claimed", "failed"]


async def test_foreign_runs_are_not_found(bundle: Bundle) -> None:
    run = await bundle.run()
    stranger = await bundle.foreigner()
    with pytest.raises(NotFound):
        await bundle.watch.events(stranger, run.id)
    with pytest.raises(NotFound):
        await anext(bundle.watch.stream(stranger, run.id))
    with pytest.raises(NotFound):
        await bundle.watch.wait(stranger, run.id, 1)
    with pytest.raises(NotFound):
        await bundle.runs.get(stranger, run.id)
