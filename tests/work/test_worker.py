"""A worker from its first claim to its last: engines that do not start, lost leases, shutdowns."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfyserve.core.errors import EngineLost
from comfyserve.core.outputs import EngineFile
from comfyserve.core.runs import Lease, Status
from comfyserve.ports import NodeFinished, Started
from comfyserve.services.record import Record
from comfyserve.testing import Hold, ScriptedEngine, Step
from comfyserve.work.limits import WorkLimits
from tests.services.bundle import Bundle
from tests.work.shop import NODES, QUICK, SECONDS, Shop, prompts, shop, text_graph

QUIET: list[Step] = [Started(), NodeFinished("1", ())]


class LateEngine(ScriptedEngine):
    """Does not start the first few times, and then not before it is let go."""

    def __init__(self, failures: int, error: Exception, start: Hold | None = None) -> None:
        super().__init__(QUIET, object_info=NODES)
        self._failures = failures
        self._error = error
        self._start = start

    async def ready(self) -> None:
        """Fail, or wait."""
        self._failures -= 1
        if self._failures >= 0:
            raise self._error
        if self._start is not None:
            await self._start.wait()


class TellingEngine(ScriptedEngine):
    """Tells when it is interrupted."""

    def __init__(self, *tries: list[Step]) -> None:
        left = list(tries)
        super().__init__(lambda prompt_id, graph: left.pop(0), object_info=NODES)
        self.heard = asyncio.Event()

    async def interrupt(self, prompt_id: str) -> bool:
        """Tell, and obey."""
        self.heard.set()
        return await super().interrupt(prompt_id)


async def test_runs_wait_while_the_engine_does_not_start(tmp_path: Path) -> None:
    broken = EngineLost("The ComfyUI ended with exit code 3 before it was ready.")
    start = Hold()
    async with shop(tmp_path, LateEngine(2, broken, start)) as place:
        run = await place.bundle.run(text_graph("a"))
        await asyncio.wait_for(start.reached.wait(), SECONDS)
        assert place.said == [("starting", None), ("failed", broken), ("failed", broken)]
        machine = await place.bundle.machines.state(place.bundle.machine_id)
        assert (machine.status, machine.error and machine.error["message"]) == ("failed", broken.message)
        assert await place.story(run.id) == ["submitted"]
        start.release()
        assert (await place.ended(run.id)).attempts == 1
        assert place.said[-1] == ("ready", None)


class FrozenEngine(ScriptedEngine):
    """Says that it is ready, and tells its nodes only after a restart."""

    def __init__(self) -> None:
        super().__init__(QUIET, object_info=NODES)

    async def object_info(self) -> Mapping[str, Any]:
        """Nothing, or the nodes."""
        if not self.restarts:
            raise EngineLost("The engine cannot be reached: time-out.")
        return await super().object_info()


async def test_an_engine_that_is_ready_and_does_not_answer_is_restarted(tmp_path: Path) -> None:
    scripted = FrozenEngine()
    async with shop(tmp_path, scripted) as place:
        assert (await place.ended((await place.bundle.run(text_graph("a"))).id)).status is Status.SUCCESS
        assert len(scripted.restarts) == 1 and "does not answer" in scripted.restarts[0]
        assert place.said[:2] == [("starting", None), ("ready", None)]


async def test_a_bug_at_the_start_does_not_end_the_worker(tmp_path: Path) -> None:
    async with shop(tmp_path, LateEngine(2, RuntimeError("a bug of ours"))) as place:
        assert (await place.ended((await place.bundle.run(text_graph("a"))).id)).status is Status.SUCCESS


async def test_a_shutdown_does_not_wait_for_an_engine_that_starts(tmp_path: Path) -> None:
    start = Hold()
    scripted = LateEngine(0, EngineLost(""), start)
    async with shop(tmp_path, scripted) as place:
        await asyncio.wait_for(start.reached.wait(), SECONDS)
        await place.drain()
        assert scripted.closed


async def _one_at_work(place: Shop) -> tuple[str, str, str]:
    """Three runs: executing, taken ahead, queued."""
    executing = (await place.bundle.run(text_graph("executing"))).id
    await place.is_now(executing, Status.RUNNING)
    ahead = (await place.bundle.run(text_graph("ahead"))).id
    await place.is_now(ahead, Status.STARTING)
    return executing, ahead, (await place.bundle.run(text_graph("queued"))).id


def _gate(held: Hold, waiting: Hold) -> ScriptedEngine:
    """An engine that holds the run that executes, and with it the one behind."""

    def script(_: str, graph: Mapping[str, Any]) -> list[Step]:
        return [Started(), held] if "executing" in str(graph) else [waiting, *QUIET]

    return ScriptedEngine(script, object_info=NODES)


async def test_a_shutdown_lets_the_running_one_end_and_gives_back_the_next(tmp_path: Path) -> None:
    held = Hold()
    scripted = _gate(held, Hold())
    async with shop(tmp_path, scripted) as place:
        executing, ahead, queued = await _one_at_work(place)
        place.worker.drain()
        assert (await place.is_now(ahead, Status.QUEUED)).attempts == 0
        assert scripted.interrupted == {scripted.submitted[1][0]}
        held.release()
        await asyncio.wait_for(place.task, SECONDS)
        assert (await place.ended(executing)).status is Status.SUCCESS
        assert await place.story(queued) == ["submitted"]
        assert scripted.closed and prompts(scripted) == ["executing", "ahead"]


async def test_a_shutdown_that_lasts_too_long_interrupts_and_gives_back(tmp_path: Path) -> None:
    scripted = _gate(Hold(), Hold())
    limits = WorkLimits(poll=QUICK.poll, drain=0.1)
    async with shop(tmp_path, scripted, limits=limits) as place:
        executing, ahead, _ = await _one_at_work(place)
        await place.drain()
        for run_id, attempts in ((executing, 1), (ahead, 0)):
            run = await place.is_now(run_id, Status.QUEUED)
            assert (run.attempts, await place.reasons(run_id)) == (attempts, ["The worker was shut down."])
        assert scripted.interrupted == {prompt_id for prompt_id, _ in scripted.submitted}


async def test_a_lost_lease_stops_the_engine_and_records_nothing(tmp_path: Path) -> None:
    scripted = TellingEngine([Started(), Hold()], QUIET)
    async with shop(tmp_path, scripted, limits=WorkLimits(poll=QUICK.poll, lease=6.0)) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.is_now(run.id, Status.RUNNING)
        await place.bundle.record.release_workers(place.bundle.machine_id, "", reason="It gave no sign of life.")
        ended = await place.ended(run.id)
        assert (ended.status, ended.attempts) == ("success", 2)
        await asyncio.wait_for(scripted.heard.wait(), SECONDS)
        assert scripted.interrupted == {scripted.submitted[0][0]}
        assert (await place.story(run.id)).count("succeeded") == 1


class UnreachableLedger:
    """The bundle's ledger, which cannot be reached for renewals."""

    def __init__(self, record: Record) -> None:
        self.claim = record.claim
        self.apply = record.apply
        self.publish_catalogue = record.publish_catalogue

    async def renew(self, leases: Collection[Lease]) -> frozenset[str]:
        """Fail."""
        raise OSError("The database is gone.")


async def test_a_worker_that_cannot_renew_stops_its_engine_before_the_lease_ends(tmp_path: Path) -> None:
    def ledger(bundle: Bundle) -> UnreachableLedger:
        return UnreachableLedger(bundle.record)

    scripted = TellingEngine([Started(), Hold()])
    async with shop(tmp_path, scripted, ledger=ledger, limits=WorkLimits(poll=QUICK.poll, lease=0.3)) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.is_now(run.id, Status.RUNNING)
        await asyncio.wait_for(scripted.heard.wait(), SECONDS)
        assert "lost" not in await place.story(run.id)


async def test_nothing_is_taken_ahead_that_another_worker_would_start_at_once(tmp_path: Path) -> None:
    held = Hold()
    async with shop(tmp_path, _gate(held, Hold()), another_idle=lambda: True) as place:
        executing = (await place.bundle.run(text_graph("executing"))).id
        await place.is_now(executing, Status.RUNNING)
        second = (await place.bundle.run(text_graph("queued"))).id
        held.release()
        await place.ended(executing)
        await place.is_now(second, Status.STARTING)
        events = (await place.bundle.watch.events(place.bundle.caller, second)).items
        done = (await place.bundle.watch.events(place.bundle.caller, executing)).items[-1]
        assert events[1].kind == "claimed" and events[1].at >= done.at


class HangingLedger(UnreachableLedger):
    """Never answers a renewal."""

    async def renew(self, leases: Collection[Lease]) -> frozenset[str]:
        """Wait for ever."""
        await asyncio.Event().wait()
        return frozenset()


async def test_a_worker_whose_ledger_hangs_stops_its_engine_before_the_lease_ends(tmp_path: Path) -> None:
    scripted = TellingEngine([Started(), Hold()])
    limits = WorkLimits(poll=QUICK.poll, lease=0.3)
    async with shop(tmp_path, scripted, ledger=lambda bundle: HangingLedger(bundle.record), limits=limits) as place:
        run = await place.bundle.run(text_graph("a"))
        await place.is_now(run.id, Status.RUNNING)
        await asyncio.wait_for(scripted.heard.wait(), SECONDS)


class ForgetfulEngine(ScriptedEngine):
    """Fails to forget the first time."""

    def __init__(self) -> None:
        super().__init__(QUIET, object_info=NODES)
        self.asked = 0
        self.obeyed = asyncio.Event()

    async def forget(self, prompt_ids: Sequence[str], files: Sequence[EngineFile]) -> None:
        """Fail, or tell."""
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("a bug of ours")
        self.obeyed.set()


async def test_tidying_that_fails_once_goes_on(tmp_path: Path) -> None:
    scripted = ForgetfulEngine()
    async with shop(tmp_path, scripted) as place:
        while scripted.asked == 0:
            await place.ended((await place.bundle.run(text_graph("a"))).id)
        await place.ended((await place.bundle.run(text_graph("b"))).id)
        await asyncio.wait_for(scripted.obeyed.wait(), SECONDS)


class GrowingEngine(ScriptedEngine):
    """Has one more node each time it is asked."""

    def __init__(self) -> None:
        super().__init__(QUIET)
        self.asked = 0
        self.asked_again = asyncio.Event()

    async def object_info(self) -> Mapping[str, Any]:
        """More and more."""
        self.asked += 1
        if self.asked > 2:
            self.asked_again.set()
        return dict(NODES) | {f"New{index}": {"input": {}} for index in range(self.asked)}


async def test_nodes_that_are_added_later_are_told(tmp_path: Path) -> None:
    scripted = GrowingEngine()
    async with shop(tmp_path, scripted, limits=replace(QUICK, catalogue=0.05)) as place:
        await asyncio.wait_for(scripted.asked_again.wait(), SECONDS)
        graph = {"1": {"class_type": "New1", "inputs": {}}}
        assert (await place.ended((await place.bundle.run(graph)).id)).status is Status.SUCCESS


class DozingEngine(ScriptedEngine):
    """Tells its nodes once, and again when it was made ready a second time."""

    def __init__(self) -> None:
        super().__init__(QUIET, object_info=NODES)
        self.asked = 0
        self.made_ready = 0
        self.awake = asyncio.Event()

    async def ready(self) -> None:
        """Count."""
        self.made_ready += 1

    async def object_info(self) -> Mapping[str, Any]:
        """The nodes, or nothing."""
        self.asked += 1
        if self.asked > 1 and self.made_ready == 1:
            raise EngineLost("The engine cannot be reached: time-out.")
        if self.made_ready > 1:
            self.awake.set()
        return await super().object_info()


async def test_an_idle_engine_that_does_not_answer_is_made_ready_again(tmp_path: Path) -> None:
    scripted = DozingEngine()
    async with shop(tmp_path, scripted, limits=replace(QUICK, catalogue=0.05)):
        await asyncio.wait_for(scripted.awake.wait(), SECONDS)
        assert scripted.restarts == []


async def test_the_catalogue_that_is_told_lists_no_models_that_runs_brought(tmp_path: Path) -> None:
    kept = "Pk6VSKLStckZydwGhX0bM8TqaqHEW9yt.safetensors"
    nodes = {**NODES, "LoraLoader": {"input": {"required": {"lora_name": [["a.pt", kept]]}}}}
    async with shop(tmp_path, ScriptedEngine(QUIET, object_info=nodes)) as place:
        await place.said_so_far(2)
        told = await place.bundle.machines.catalogue(place.bundle.machine_id)
        assert told is not None and told["LoraLoader"]["input"]["required"]["lora_name"] == [["a.pt"]]
