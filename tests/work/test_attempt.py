"""How one attempt ends, whatever the engine, the storage, the ledger or the caller does."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import EngineError, EngineLost, Place, StorageFailed
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.core.runs import Fact, FactKind, Run, Status
from comfyserve.ports import (
    Alive,
    ByteStream,
    Clocks,
    NodeFinished,
    NodeStarted,
    Outcome,
    Started,
    StoredBlob,
    StoredOutput,
)
from comfyserve.services.record import Record
from comfyserve.testing import Hold, MemoryBlobs, ScriptedEngine, Step
from tests.services.bundle import Bundle
from tests.work.shop import NODES, QUICK, SECONDS, HangingFetch, prompts, shop, text_graph, text_of

PICTURE = EngineFile("cap_00001_.png", "", "output")
SHOWN = NodeFinished("1", [NodeOutput("1", "text", 0, value="hello")])


def engine(steps: Sequence[Step]) -> ScriptedEngine:
    """An engine that tells the same to every prompt."""
    return ScriptedEngine(steps, object_info=NODES)


def by_text(**scripts: Sequence[Sequence[Step]]) -> ScriptedEngine:
    """An engine that tells each graph, by its text, another script at each try; the last one stays."""
    left = {text: list(tries) for text, tries in scripts.items()}

    def script(_: str, graph: Mapping[str, Any]) -> Sequence[Step]:
        tries = left[text_of(graph)]
        return tries.pop(0) if len(tries) > 1 else tries[0]

    return ScriptedEngine(script, object_info=NODES)


async def test_a_run_is_told_from_its_claim_to_its_outputs(tmp_path: Path) -> None:
    async with shop(tmp_path, engine([Started(), NodeStarted("1"), SHOWN])) as place:
        run = await place.bundle.run(text_graph("a"))
        ended = await place.ended(run.id)
        assert (ended.status, ended.attempts, [output.value for output in ended.outputs]) == ("success", 1, ["hello"])
        kinds = ["submitted", "claimed", "started", "node_started", "executed", "output", "succeeded"]
        assert await place.story(run.id) == kinds


async def test_an_outcome_without_a_start_is_a_result_too(tmp_path: Path) -> None:
    async with shop(tmp_path, engine([SHOWN])) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"))).id)
        assert (ended.status, ended.attempts) == ("success", 1)


@pytest.mark.parametrize(
    "steps",
    [
        [EngineError("The engine refuses the graph.")],
        [Started(), Outcome("error", error={"code": "engine_error", "message": "The engine refuses the graph."})],
    ],
    ids=["refused", "raised"],
)
async def test_a_graph_that_fails_is_not_tried_again(tmp_path: Path, steps: Sequence[Step]) -> None:
    scripted = engine(steps)
    async with shop(tmp_path, scripted) as place:
        run = await place.bundle.run(text_graph("a"))
        ended = await place.ended(run.id)
        assert ended.status is Status.FAILED and ended.error is not None
        assert ended.error["message"] == "The engine refuses the graph."
        assert (await place.story(run.id)).count("claimed") == 1
        assert scripted.restarts == []


async def test_a_refusal_shows_no_models_of_others(tmp_path: Path) -> None:
    kept = "Pk6VSKLStckZydwGhX0bM8TqaqHEW9yt.safetensors"
    refusal = EngineError(f"'x' not in ['a.pt', '{kept}']", details={"node_errors": {"1": [["a.pt", kept]]}})
    async with shop(tmp_path, engine([refusal])) as place:
        error = (await place.ended((await place.bundle.run(text_graph("a"))).id)).error
        assert error is not None and error["message"] == "'x' not in ['a.pt', 'a downloaded model']"
        assert error["details"]["node_errors"] == {"1": [["a.pt"]]}


NODE_AT_FAULT = Place(node_id="1.0.2")


@pytest.mark.parametrize(
    "steps",
    [
        [EngineError("No such hat.", place=NODE_AT_FAULT, details={"why": "hat"})],
        [Started(), Outcome("error", error=EngineError("x", place=NODE_AT_FAULT, details={"why": "hat"}).as_dict())],
    ],
    ids=["refused", "raised"],
)
async def test_an_error_names_its_node_by_class_and_title(tmp_path: Path, steps: Sequence[Step]) -> None:
    graph = {"1": {"class_type": "ShowText", "inputs": {"text": "a"}, "_meta": {"title": "The hat" + "!" * 500}}}
    async with shop(tmp_path, engine(steps)) as place:
        error = (await place.ended((await place.bundle.run(graph)).id)).error
        assert error is not None and error["place"]["node_id"] == "1.0.2"
        title = error["details"].pop("title")
        assert error["details"] == {"why": "hat", "class_type": "ShowText"}
        assert title.startswith("The hat!") and len(title) == 200


async def test_a_lost_engine_costs_the_run_it_executed_an_attempt_and_the_next_one_none(tmp_path: Path) -> None:
    dying = Hold()
    lost = EngineLost("The engine ended with exit code 137.")
    scripted = by_text(first=[[Started(), dying, lost], [Started()]], second=[[dying, lost], [Started()]])
    async with shop(tmp_path, scripted) as place:
        first = await place.bundle.run(text_graph("first"))
        await place.is_now(first.id, Status.RUNNING)
        second = await place.bundle.run(text_graph("second"))
        await place.is_now(second.id, Status.STARTING)
        dying.release()
        assert [(await place.ended(run.id)).attempts for run in (first, second)] == [2, 1]
        assert await place.reasons(first.id) == await place.reasons(second.id) == [lost.message]
        assert [state for state, _ in place.said][:4] == ["starting", "ready", "starting", "ready"]


async def test_a_run_that_ends_its_engine_before_it_is_seen_to_start_pays(tmp_path: Path) -> None:
    scripted = by_text(killer=[[EngineLost("gone")]], after=[[SHOWN]])
    async with shop(tmp_path, scripted) as place:
        run = await place.bundle.run(text_graph("killer"))
        await place.until(run.id, lambda view: view.status is Status.QUEUED and view.attempts == 1)
        place.bundle.clock.step(60)
        await place.until(run.id, lambda view: view.status is Status.QUEUED and view.attempts == 2)
        place.bundle.clock.step(60)
        ended = await place.ended(run.id)
        assert (ended.status, ended.attempts, ended.error and ended.error["code"]) == ("failed", 3, "engine_lost")


async def test_an_interrupt_by_somebody_else_is_tried_again(tmp_path: Path) -> None:
    scripted = by_text(a=[[Started(), Outcome("interrupted")], [Started(), SHOWN]])
    async with shop(tmp_path, scripted) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"))).id)
        assert (ended.status, ended.attempts) == ("success", 2)


async def test_a_cancel_interrupts_exactly_this_prompt(tmp_path: Path) -> None:
    first, second = Hold(), Hold()
    scripted = by_text(first=[[Started(), first]], second=[[second, Started(), SHOWN]])
    async with shop(tmp_path, scripted) as place:
        running = await place.bundle.run(text_graph("first"))
        await place.is_now(running.id, Status.RUNNING)
        waiting = await place.bundle.run(text_graph("second"))
        await place.is_now(waiting.id, Status.STARTING)
        await place.bundle.cancel.cancel(place.bundle.caller, running.id)
        assert (await place.ended(running.id)).status is Status.CANCELLED
        assert scripted.interrupted == {scripted.submitted[0][0]}
        second.release()
        assert (await place.ended(waiting.id)).status is Status.SUCCESS
        assert scripted.restarts == []


class StubbornEngine(ScriptedEngine):
    """Does not listen to interrupts."""

    async def interrupt(self, prompt_id: str) -> bool:
        """It goes on."""
        return True


async def test_an_engine_that_does_not_obey_is_restarted(tmp_path: Path) -> None:
    scripted = StubbornEngine([Started(), Hold()], object_info=NODES)
    async with shop(tmp_path, scripted) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.is_now(run.id, Status.RUNNING)
        await place.bundle.cancel.cancel(place.bundle.caller, run.id)
        assert (await place.ended(run.id)).status is Status.CANCELLED
        assert len(scripted.restarts) == 1 and "interrupt" in scripted.restarts[0]


class MuteEngine(StubbornEngine):
    """Does not answer interrupts, or not before the end of the world."""

    def __init__(self, *, hangs: bool) -> None:
        super().__init__([Started(), Hold()], object_info=NODES)
        self._hangs = hangs

    async def interrupt(self, prompt_id: str) -> bool:
        """Hang, or be out of reach."""
        if self._hangs:
            await asyncio.Event().wait()
        raise EngineLost("The engine cannot be reached.")


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "out of reach"])
async def test_an_engine_that_does_not_answer_an_interrupt_is_restarted(tmp_path: Path, hangs: bool) -> None:
    scripted = MuteEngine(hangs=hangs)
    async with shop(tmp_path, scripted) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.is_now(run.id, Status.RUNNING)
        await place.bundle.cancel.cancel(place.bundle.caller, run.id)
        assert (await place.ended(run.id)).status is Status.CANCELLED
        assert len(scripted.restarts) == 1 and "did not answer" in scripted.restarts[0]


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "out of reach"])
async def test_an_engine_that_is_over_its_time_and_does_not_answer_is_restarted(tmp_path: Path, hangs: bool) -> None:
    scripted, clocks = MuteEngine(hangs=hangs), Clocks(queue=0, start=0, run=0.1, heartbeat=0)
    async with shop(tmp_path, scripted, clocks=clocks) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"))).id)
        assert (ended.status, ended.error and ended.error["code"]) == ("timeout", "run_timeout")
        assert len(scripted.restarts) == 1


class LameEngine(StubbornEngine):
    """Does not listen, and cannot be started again."""

    async def restart(self, reason: str) -> None:
        """It fails."""
        await super().restart(reason)
        raise EngineLost("The engine cannot be started.")


async def test_a_cancel_is_recorded_although_the_engine_cannot_be_restarted(tmp_path: Path) -> None:
    scripted = LameEngine([Started(), Hold()], object_info=NODES)
    async with shop(tmp_path, scripted) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.is_now(run.id, Status.RUNNING)
        await place.bundle.cancel.cancel(place.bundle.caller, run.id)
        assert (await place.ended(run.id)).status is Status.CANCELLED
        states = await asyncio.wait_for(place.said_so_far(4), SECONDS)
        assert states[:4] == ["starting", "ready", "starting", "ready"]


@pytest.mark.parametrize(
    ("steps", "clocks", "code", "restarts"),
    [
        ([Started(), Hold()], Clocks(queue=0, start=0, run=0.1, heartbeat=0), "run_timeout", 0),
        ([Started(), Hold()], Clocks(queue=0, start=0, run=60, heartbeat=0.1), "heartbeat_timeout", 1),
        ([Alive(), Hold()], Clocks(queue=0, start=0.1, run=0.01, heartbeat=60), "start_timeout", 0),
    ],
    ids=["run", "heartbeat", "never begun"],
)
async def test_clocks_of_a_run_that_its_engine_has(
    tmp_path: Path, steps: Sequence[Step], clocks: Clocks, code: str, restarts: int
) -> None:
    scripted = engine(steps)
    async with shop(tmp_path, scripted, clocks=clocks) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"))).id)
        begun = int(Started() in steps)
        assert (ended.status, ended.attempts, ended.error and ended.error["code"]) == ("timeout", begun, code)
        assert len(scripted.restarts) == restarts


async def test_the_clock_of_getting_files_ready(tmp_path: Path) -> None:
    clocks, scripted = Clocks(queue=0, start=0.1, run=0, heartbeat=0), engine([SHOWN])
    async with shop(tmp_path, scripted, clocks=clocks, fetch=HangingFetch()) as place:
        graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "https://example.com/logo.png"}}}
        ended = await place.ended((await place.bundle.run(graph)).id)
        assert (ended.status, ended.attempts, ended.error and ended.error["code"]) == ("timeout", 0, "start_timeout")
        assert scripted.submitted == []


class FullBlobs(MemoryBlobs):
    """Fails the first few times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def put(
        self, key: str, content: ByteStream, *, limit: int | None = None, mime: str = "", filename: str = ""
    ) -> StoredBlob:
        """Fail, or keep."""
        self.failures -= 1
        if self.failures >= 0:
            raise StorageFailed("The disk is full.")
        return await super().put(key, content, limit=limit)


async def test_a_storage_that_fails_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    scripted, blobs = engine([Started(), NodeFinished("1", [NodeOutput("1", "images", 0, file=PICTURE)])]), FullBlobs(1)
    scripted.content[PICTURE] = b"picture"
    async with shop(tmp_path, scripted, blobs=blobs) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"))).id)
        assert (ended.status, ended.attempts, list(blobs.files.values())) == ("success", 1, [b"picture"])


async def test_more_outputs_than_are_kept_fail_the_run(tmp_path: Path) -> None:
    many = NodeFinished("1", [NodeOutput("1", "text", index, value="x") for index in range(QUICK.outputs + 1)])
    async with shop(tmp_path, engine([Started(), many])) as place:
        ended = await place.ended((await place.bundle.run(text_graph("a"))).id)
        assert ended.status is Status.FAILED and ended.error is not None and "1001" in ended.error["message"]


class AbsentLedger:
    """The bundle's ledger, whose `apply` fails a few times for facts of one kind."""

    def __init__(self, record: Record, kind: FactKind, failures: int) -> None:
        self._kind = kind
        self._failures = failures
        self._apply = record.apply
        self.claim = record.claim
        self.renew = record.renew
        self.publish_catalogue = record.publish_catalogue

    async def apply(self, run_id: str, token: str, facts: Sequence[Fact], outputs: Sequence[StoredOutput] = ()) -> Run:
        """Fail, or record."""
        if self._kind in [fact.kind for fact in facts] and self._failures > 0:
            self._failures -= 1
            raise OSError("The database is locked.")
        return await self._apply(run_id, token, facts, outputs)


@pytest.mark.parametrize("kind", [FactKind.STARTED, FactKind.SUCCEEDED])
async def test_a_ledger_that_is_away_for_a_moment_is_waited_for(tmp_path: Path, kind: FactKind) -> None:
    held = Hold()

    def ledger(bundle: Bundle) -> AbsentLedger:
        return AbsentLedger(bundle.record, kind, 1)

    scripted = engine([Started(), held, SHOWN])
    async with shop(tmp_path, scripted, ledger=ledger) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.is_now(run.id, Status.RUNNING)
        held.release()
        ended = await place.ended(run.id)
        assert (ended.status, ended.attempts, len(ended.outputs)) == ("success", 1, 1)
        assert (await place.story(run.id)).count("succeeded") == 1
        assert prompts(scripted) == ["a"]
