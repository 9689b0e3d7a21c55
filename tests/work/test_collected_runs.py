"""What becomes of a run whose outputs are converted or sent on, and of one whose storage stays away."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from comfyserve.core.conversion import Conversion
from comfyserve.core.errors import InvalidInput, StorageFailed, TargetFailed
from comfyserve.core.options import RunOptions
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.core.runs import Status
from comfyserve.ports import NodeFinished, Outcome, Started
from comfyserve.testing import MemoryBlobs, ScriptedEngine, Step
from comfyserve.work.collect import NEEDS_IMAGES, Converter
from tests.services.bundle import LIMITS, open_bundle
from tests.work.shop import NODES, QUICK, shop, text_graph
from tests.work.test_collect import WISH, ScriptedTarget, ScriptedTargets, TroubledBlobs, picture

FILE = EngineFile("cap.png", "caps")
MADE = NodeFinished("1", [NodeOutput("1", "images", 0, file=FILE)])
HURRIED = replace(QUICK, storage_pause=0.001, storage_tries=2, target_tries=2)
FORBIDDEN = TargetFailed("The bucket forbids it.")


def engine(content: bytes, steps: Sequence[Step] = (Started(), MADE)) -> ScriptedEngine:
    """An engine that gives one file."""
    made = ScriptedEngine(steps, object_info=NODES)
    made.content[FILE] = content
    return made


async def test_a_run_is_told_what_was_not_converted(tmp_path: Path) -> None:
    options = RunOptions(convert=Conversion("webp"))
    converter = Converter(tmp_path / "converting")
    async with shop(tmp_path, engine(picture()[:200]), converter=converter) as place:
        run = await place.bundle.run(text_graph("a"), options=options)
        ended = await place.ended(run.id)
        assert (ended.status, [output.filename for output in ended.outputs]) == ("success", ["cap.png"])
        events = (await place.bundle.watch.events(place.bundle.caller, run.id)).items
        warned = [event.data for event in events if event.kind == "warning"]
        assert [(data["code"], data["details"]["filename"]) for data in warned] == [("not_converted", "cap.png")]


async def test_a_run_whose_outputs_are_in_the_target(tmp_path: Path) -> None:
    target, options = ScriptedTarget(), RunOptions(convert=Conversion("jpg"), target=WISH)
    converter, targets = Converter(tmp_path / "converting"), ScriptedTargets(target)
    async with shop(tmp_path, engine(picture()), converter=converter, targets=targets) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"), options=options)).id)
        assert ended.status is Status.SUCCESS
        name = f"{ended.id}_caps/cap.jpg"
        assert list(target.files) == [name] and target.files[name][0][:2] == b"\xff\xd8"
        assert [output.url for output in ended.outputs] == [f"https://files.example.com/{name}"]
        assert place.bundle.blobs.files == {}


async def test_a_run_whose_target_fails_has_failed_and_keeps_its_outputs(tmp_path: Path) -> None:
    target, blobs, options = ScriptedTarget(default=FORBIDDEN), MemoryBlobs(), RunOptions(target=WISH)
    async with shop(tmp_path, engine(b"x"), blobs=blobs, targets=ScriptedTargets(target)) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"), options=options)).id)
        assert (ended.status, ended.attempts, ended.error) == ("failed", 1, FORBIDDEN.as_dict())
        assert [output.filename for output in ended.outputs] == ["cap.png"]
        assert ended.outputs[0].asset_id and list(blobs.files.values()) == [b"x"]


async def test_the_engine_s_error_comes_before_the_target_s(tmp_path: Path) -> None:
    error = {"code": "engine_error", "message": "No such hat."}
    steps: list[Step] = [Started(), MADE, Outcome("error", MADE.outputs, error=error)]
    target, options = ScriptedTarget(default=FORBIDDEN), RunOptions(target=WISH)
    async with shop(tmp_path, engine(b"x", steps), targets=ScriptedTargets(target)) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"), options=options)).id)
        assert (ended.status, ended.error, len(ended.outputs)) == ("failed", error, 1)


async def test_a_storage_that_stays_away_sends_the_run_back_and_nothing_is_lost(tmp_path: Path) -> None:
    blobs = TroubledBlobs(*[StorageFailed("The bucket refuses.")] * HURRIED.storage_tries)
    async with shop(tmp_path, engine(b"x"), blobs=blobs, limits=HURRIED) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.until(run.id, lambda view: view.status is Status.QUEUED and view.attempts == 1)
        assert await place.reasons(run.id) == ["The storage did not take cap.png: The bucket refuses."]
        place.bundle.clock.step(60)
        ended = await place.ended(run.id)
        assert (ended.status, ended.attempts, list(blobs.files.values())) == ("success", 2, [b"x"])


async def test_what_nobody_can_convert_is_refused_at_the_submit(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, limits=replace(LIMITS, no_conversion=NEEDS_IMAGES))
    try:
        await bundle.run(text_graph("a"))
        with pytest.raises(InvalidInput, match=r"comfyserve\[images\]") as refused:
            await bundle.run(text_graph("a"), options=RunOptions(convert=Conversion("webp")))
        assert refused.value.place.field == "convert_output"
    finally:
        await bundle.db.close()
