"""Runs that wait for something slow keep neither other keys' runs from the engine nor those that do not need it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfyserve.core.errors import TargetFailed
from comfyserve.core.options import RunOptions
from comfyserve.core.runs import Status
from comfyserve.ports import NOBODY, Busy, ByteStream, StoredBlob
from comfyserve.testing import MemoryBlobs
from comfyserve.work.crowds import Crowd
from tests.work.shop import QUICK, Shop, shop, text_graph
from tests.work.test_collect import WISH, ScriptedTarget, ScriptedTargets
from tests.work.test_collected_runs import engine
from tests.work.test_places import SlowFetch, picture_graph, quiet_engine, url_of

FEW = replace(QUICK, stage_grace=0, outside_each=2, outside=2, storing_each=2, storing=2)
SENT = RunOptions(target=WISH)


def test_a_key_with_its_number_is_full_and_beyond_the_total_each_may_have_one() -> None:
    crowd = Crowd(each=2, total=3)
    for key in ("a", "a", "b"):
        crowd.enter(key)
    assert crowd.full == {"a", "b"}
    crowd.leave("a")
    assert crowd.full == frozenset()
    crowd.leave("b")
    crowd.enter("a")
    assert crowd.full == {"a"}


def test_who_lets_more_through() -> None:
    assert Busy(frozenset("a")).passes_more_than(NOBODY)
    assert Busy(frozenset("a"), frozenset("b")).passes_more_than(Busy(frozenset("a")))
    assert not Busy(frozenset("a")).passes_more_than(Busy(frozenset("ab")))


async def _submit(place: Shop, graph: Any, count: int = 1, **request: Any) -> list[str]:
    return [(await place.bundle.run(graph, **request)).id for _ in range(count)]


async def test_downloads_that_hang_stop_no_other_key_and_no_run_without(tmp_path: Path) -> None:
    fetch = SlowFetch(tmp_path / "cap.png")
    async with shop(tmp_path, quiet_engine(), fetch=fetch, limits=FEW) as place:
        other = await place.bundle.another_key("other")
        hanging = await _submit(place, picture_graph("hangs"), 8)
        for run_id in hanging[:2]:
            await place.is_now(run_id, Status.STARTING)
        plain = (await _submit(place, text_graph("plain")))[0]
        fetch.answer(url_of("answers")).set_result(True)
        theirs = (await _submit(place, picture_graph("answers"), caller=other))[0]
        assert (await place.ended(plain)).status is Status.SUCCESS
        assert (await place.ended(theirs)).status is Status.SUCCESS
        assert [await place.story(run_id) for run_id in hanging[2:]] == [["submitted"]] * 6
        fetch.answer(url_of("hangs")).set_result(True)
        for run_id in hanging:
            assert (await place.ended(run_id)).status is Status.SUCCESS


class SilentTarget(ScriptedTarget):
    """Takes files when it is let, and until then never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Wait."""
        await self.answers.wait()
        return await super().put(name, content, size=size, mime=mime)


async def test_targets_that_hang_stop_no_other_key_and_no_run_without(tmp_path: Path) -> None:
    target = SilentTarget()
    async with shop(tmp_path, engine(b"x"), targets=ScriptedTargets(target), limits=FEW) as place:
        hanging = await _submit(place, text_graph("sent"), 8, options=SENT)
        for run_id in hanging[:2]:
            await place.is_now(run_id, Status.COLLECTING)
        for caller in (place.bundle.caller, await place.bundle.another_key("other")):
            for run_id in await _submit(place, text_graph("plain"), 4, caller=caller):
                assert (await place.ended(run_id)).status is Status.SUCCESS
        assert [await place.story(run_id) for run_id in hanging[4:]] == [["submitted"]] * 4
        target.answers.set()
        for run_id in hanging:
            assert (await place.ended(run_id)).status is Status.SUCCESS


class SlowBlobs(MemoryBlobs):
    """Takes what runs of one graph made when it is let, and everything else at once."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: Sequence[str] = ()
        self.takes = asyncio.Event()

    async def put(self, key: str, content: ByteStream, **about: Any) -> StoredBlob:
        """Keep, soon or late."""
        if any(run_id in key for run_id in self.slow):
            await self.takes.wait()
        return await super().put(key, content, **about)


async def test_outputs_that_are_stored_slowly_stop_no_other_key(tmp_path: Path) -> None:
    blobs = SlowBlobs()
    async with shop(tmp_path, engine(b"x"), blobs=blobs, limits=replace(FEW, ahead=0)) as place:
        blobs.slow = ["runs/"]
        mine = await _submit(place, text_graph("mine"), 6)
        blobs.slow = mine
        for run_id in mine[:2]:
            await place.is_now(run_id, Status.COLLECTING)
        for run_id in await _submit(place, text_graph("theirs"), 3, caller=await place.bundle.another_key("other")):
            assert (await place.ended(run_id)).status is Status.SUCCESS
        blobs.takes.set()
        for run_id in mine:
            assert (await place.ended(run_id)).status is Status.SUCCESS


async def test_a_target_has_its_time_and_the_outputs_stay_here(tmp_path: Path) -> None:
    targets, blobs = ScriptedTargets(SilentTarget()), MemoryBlobs()
    limits = replace(QUICK, collect=0.3)
    async with shop(tmp_path, engine(b"x"), blobs=blobs, targets=targets, limits=limits) as place:
        ended = await place.ended((await _submit(place, text_graph("a"), options=SENT))[0])
        late = TargetFailed("The target did not take all 1 files within 0.3 s.")
        assert (ended.status, ended.error) == (Status.FAILED, late.as_dict())
        assert ended.outputs[0].asset_id and list(blobs.files.values()) == [b"x"]


async def test_a_storage_has_its_time(tmp_path: Path) -> None:
    blobs = SlowBlobs()
    blobs.slow = ["runs/"]
    async with shop(tmp_path, engine(b"x"), blobs=blobs, limits=replace(QUICK, collect=0.1)) as place:
        ended = await place.ended((await _submit(place, text_graph("a")))[0])
        assert (ended.status, ended.error and ended.error["code"]) == (Status.TIMEOUT, "collect_timeout")
