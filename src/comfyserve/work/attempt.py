"""One attempt: a claimed run from staging to its recorded end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from comfyserve.core.errors import (
    ClockRanOut,
    DomainError,
    EngineLost,
    EngineRestarted,
    EngineUnreached,
    Stale,
    StorageFailed,
)
from comfyserve.core.graph import Graph, Node
from comfyserve.core.kept_names import without_kept
from comfyserve.core.outputs import EngineFile
from comfyserve.core.runs import Fact, FactKind
from comfyserve.ports import (
    Claim,
    Engine,
    EngineEvent,
    Ledger,
    Live,
    NodeFinished,
    NodeStarted,
    Outcome,
    Preview,
    Progress,
    Started,
    Warned,
)
from comfyserve.work.clocks import EngineClocks
from comfyserve.work.collect import Collect, Collected
from comfyserve.work.crowds import Stay
from comfyserve.work.journal import Journal
from comfyserve.work.limits import WorkLimits
from comfyserve.work.places import Place
from comfyserve.work.progress import ProgressMeter
from comfyserve.work.stage import Holding, Reports, Stage, Staged, nobody

REPEAT_SECONDS = 0.5
MAX_NAME = 200
"""Characters of a node's class and title in an error."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tools:
    """What an attempt works with."""

    engine: Engine
    ledger: Ledger
    live: Live
    stage: Stage
    collect: Collect
    limits: WorkLimits
    monotonic: Callable[[], float]


@dataclass(frozen=True, eq=False)
class Life:
    """One life of the engine: what it has taken and not finished, in its order, and whether it was lost."""

    line: "list[Attempt]" = field(default_factory=list)
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class Attempt:
    """Runs one claim. `executed` is set when the engine is free of it, `engine_lost` when the engine was lost;
    `left_behind` are the files that its engine may forget.

    The three endings: the run's own failure is recorded; a lost engine or storage sends it back to the queue; a lease
    that is no longer ours, or a bug of ours, leaves it alone, so that the lease lapses.
    """

    def __init__(self, claim: Claim, tools: Tools, place: Place, stay: Stay, life: Callable[[], Life]) -> None:
        """`life`: the engine's present one; it may have changed when the files are there."""
        self.claim = claim
        self.place = place
        self.life = life()
        self._present_life = life
        self._stay = stay
        self.executed = asyncio.Event()
        self._tools = tools
        self._journal = Journal(tools.ledger, claim, tools.limits.lease)
        self._meter = ProgressMeter(tools.live, claim.run.id, claim.graph, tools.monotonic)
        self._stopping = asyncio.Event()
        self._leaving: str | None = None
        self._stale = self._journal.stale
        self._submitted = False
        self.engine_lost = False
        self.left_behind: Sequence[EngineFile] | None = None

    @property
    def begun(self) -> bool:
        """Whether the engine has begun to execute it, so that it counts as an attempt."""
        return self._journal.started or self.executed.is_set()

    def cancel(self) -> None:
        """Stop this attempt and record the run as cancelled."""
        self._leaving = None
        self._stopping.set()

    def leave(self, reason: str) -> None:
        """Stop this attempt and send the run back to the queue."""
        if not self._stopping.is_set():
            self._leaving = reason
            self._stopping.set()

    def lose(self) -> None:
        """The lease is not ours any more: stop the engine's work on it and record nothing."""
        self._stale.set()

    async def run(self) -> None:
        """Carry the claim to its end. Raises nothing but CancelledError."""
        work = asyncio.create_task(self._work())
        stops = [asyncio.create_task(event.wait()) for event in (self._stopping, self._stale)]
        try:
            await asyncio.wait([work, *stops], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._stop(work)
            else:
                work.result()
        except Stale:
            log.info("run_left", run_id=self.claim.run.id)
        except Exception:
            log.exception("attempt_failed", run_id=self.claim.run.id)
        finally:
            for task in [work, *stops]:
                task.cancel()
            if self in self.life.line and not self.engine_lost:
                self.life.line.remove(self)
            self.executed.set()
            self._tools.live.drop(self.claim.run.id)

    async def _give_back(self, reason: str, *, at_once: bool = False, blameless: bool = False) -> None:
        """Send the run back to the queue: this worker will not finish it. `at_once`: it has nothing to do with that.
        `blameless`: nor has what it began, which then counts as no attempt."""
        why = {"reason": reason, "at_once": at_once} | ({"blameless": True} if blameless else {})
        await self._journal.finish([Fact(FactKind.LOST, why)])

    async def _stop(self, work: asyncio.Task[None]) -> None:
        """Somebody wants this attempt to stop, or it is not ours any more."""
        if self._submitted and not self.executed.is_set():
            await self._interrupt(work)
        if work.done():
            work.result()
            return
        work.cancel()
        await asyncio.wait([work])
        if not self._stale.is_set():
            await self._journal.finish([self._stopped()])

    def _stopped(self) -> Fact:
        """What a stop of ours means for the run."""
        if self._leaving is not None:
            return Fact(FactKind.LOST, {"reason": self._leaving})
        return Fact(FactKind.CANCELLED)

    async def _interrupt(self, work: asyncio.Task[None]) -> None:
        """Stop exactly this prompt; an engine that does not obey in time is restarted.

        The interrupt is repeated: the prompt may be on its way to the engine when it is sent first.
        """
        engine, grace = self._tools.engine, self._tools.limits.interrupt_grace
        until = asyncio.get_running_loop().time() + grace
        while not work.done() and (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                if not self.executed.is_set():
                    await self._ask_to_stop(left)
            except EngineUnreached:
                return
            except EngineLost:
                break
            await asyncio.wait([work], timeout=min(REPEAT_SECONDS, left))
        if work.done() or self.executed.is_set():
            return
        try:
            await engine.restart(f"it did not stop within {grace:g} s of an interrupt, or did not answer")
        except EngineLost as error:
            log.error("engine_lost", run_id=self.claim.run.id, error=error.message)
            self.engine_lost = True

    async def _ask_to_stop(self, seconds: float) -> bool:
        """Interrupt; whether the engine still had the prompt. Raises EngineLost when it does not answer in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._tools.engine.interrupt(self.claim.attempt_id)
        except TimeoutError:
            raise EngineLost("The engine does not answer an interrupt.") from None

    def _lose_engine(self) -> None:
        """Before it is recorded: what goes back to the queue shall not be claimed for the engine that is gone."""
        self.engine_lost = True
        self.life.lost.set()

    async def _work(self) -> None:
        reports = Reports(self._tools.live, self.claim.run.id, self._journal.note, self._tools.monotonic)
        holding = Holding(reports=reports)
        try:
            async with holding.pins:
                staged = await self.place.make_ready(self._staged(holding), self._stay.step_aside)
                outcome = await self._execute(staged)
            await self._record(outcome, staged)
        except Stale:
            raise
        except EngineRestarted as error:
            self._lose_engine()
            await self._give_back(error.message, at_once=True, blameless=True)
        except EngineLost as error:
            self._lose_engine()
            if self.life.line[:1] == [self] and not self._journal.started and not isinstance(error, EngineUnreached):
                # It was the engine's turn to execute it: it may have died too soon to say so.
                self._journal.note(Fact(FactKind.STARTED))
            await self._give_back(error.message, at_once=not self._journal.started)
        except StorageFailed as error:
            await self._give_back(error.message)
        except ClockRanOut as error:
            await self._end(FactKind.TIMED_OUT, error)
        except DomainError as error:
            await self._end(FactKind.FAILED, error)

    async def _end(self, kind: FactKind, error: DomainError) -> None:
        await self._journal.finish([Fact(kind, {"error": _with_node(error.as_dict(), self.claim.graph)})])

    async def _staged(self, holding: Holding) -> Staged:
        """Stage under the clock for starting. While a model arrives it begins anew: that has a limit of its own."""
        seconds = self.claim.clocks.start
        self.left_behind = holding.files
        try:
            async with asyncio.timeout(seconds or None) as clock:
                holding.arriving = lambda: _push_back(clock, seconds)
                staged = await self._tools.stage.stage(self.claim, holding)
        except TimeoutError:
            raise ClockRanOut("start", seconds) from None
        finally:
            holding.arriving = nobody
        if staged.files or staged.models:
            data = {"files": len(staged.files), "bytes": staged.bytes, "seconds": round(staged.seconds, 3)}
            models = {"models": staged.models} if staged.models else {}
            self._journal.note(Fact(FactKind.STAGED, data | models))
        return staged

    async def _execute(self, staged: Staged) -> Outcome:
        engine, claim = self._tools.engine, self.claim
        self._submitted = True
        self._stay.execute()
        self.life = self._present_life()
        self.life.line.append(self)
        try:
            async with engine.execute(claim.attempt_id, staged.graph, claim.extra_data) as events:
                outcome = await self._follow(events)
        except ClockRanOut as error:
            await self._stop_overdue(error)
            raise
        if (reason := _needs_restart(outcome)) is not None:
            with suppress(EngineLost):
                await engine.restart(reason)
        self.life.line.remove(self)
        self._stay.store()
        self.executed.set()
        return outcome

    async def _stop_overdue(self, error: ClockRanOut) -> None:
        """Interrupt a prompt over its time; an engine that gives no sign of life, or does not obey, is restarted."""
        engine = self._tools.engine
        with suppress(EngineLost):
            if error.clock == "heartbeat" or not await self._obeys():
                await engine.restart(error.message)

    async def _obeys(self) -> bool:
        """Interrupt until the engine has let go of the prompt; False when the grace for that is over or the engine does
        not answer."""
        now = asyncio.get_running_loop().time
        until = now() + self._tools.limits.interrupt_grace
        try:
            while await self._ask_to_stop(max(until - now(), REPEAT_SECONDS)):
                if now() >= until:
                    return False
                await asyncio.sleep(REPEAT_SECONDS)
        except EngineUnreached:
            return True
        except EngineLost:
            return False
        return True

    async def _follow(self, events: AsyncIterator[EngineEvent]) -> Outcome:
        """Read events until the outcome, under the clocks for waiting, for running and for signs of life."""
        clocks = EngineClocks(self.claim.clocks, asyncio.get_running_loop().time)
        try:
            async with asyncio.timeout_at(clocks.next_end()) as timeout:
                async for event in events:
                    if isinstance(event, Outcome):
                        return event
                    if isinstance(event, Started):
                        clocks.begin()
                    self._note(event)
                    timeout.reschedule(clocks.next_end())
        except TimeoutError:
            raise clocks.ran_out() from None
        raise EngineLost("The engine ended its events without an outcome.")

    def _note(self, event: EngineEvent) -> None:
        match event:
            case Started():
                self._journal.note(Fact(FactKind.STARTED))
            case NodeStarted(node_id=node_id):
                node = _node_of(node_id, self.claim.graph)
                data = {
                    "node_id": node_id,
                    "class_type": node.class_type if node else "",
                    "title": node.title if node else "",
                    "index": self._meter.node_started(event),
                    "total": self._meter.total,
                }
                self._journal.note(Fact(FactKind.NODE_STARTED, data))
            case Progress():
                self._meter.progress(event)
            case Preview():
                self._meter.preview(event)
            case Warned(message=message, details=details):
                data = {"code": "outputs_left_out", "message": message, "details": dict(details)}
                self._journal.note(Fact(FactKind.WARNING, without_kept(data)))
            case NodeFinished() | Outcome():
                pass

    async def _record(self, outcome: Outcome, staged: Staged) -> None:
        if outcome.ending == "interrupted" and self._stopping.is_set():
            await self._journal.finish([self._stopped()])
            return
        if outcome.ending == "interrupted":
            raise EngineLost("The engine was interrupted by somebody else.")
        if not self._journal.started:
            self._journal.note(Fact(FactKind.STARTED))
        self._journal.note(Fact(FactKind.EXECUTED, {"simulated": outcome.simulated} if outcome.simulated else {}))
        note, send = self._journal.note, self._stay.send
        collected = await self._tools.collect.collect(self.claim, outcome.outputs, note, on_stored=send)
        await self._journal.finish([*collected.facts, self._ending(outcome, collected)], collected.outputs)
        self.left_behind = staged.left_behind(outcome.outputs)

    def _ending(self, outcome: Outcome, collected: Collected) -> Fact:
        """The engine's own error comes first; a result that did not reach the caller's target is a failure, too."""
        if outcome.ending != "success":
            return Fact(FactKind.FAILED, {"error": _with_node(outcome.error or {}, self.claim.graph)})
        if collected.error is not None:
            return Fact(FactKind.FAILED, {"error": collected.error.as_dict()})
        return Fact(FactKind.SUCCEEDED)


def _node_of(node_id: str, graph: Graph) -> Node | None:
    """The node of the caller's graph; the id of one that was expanded while running starts with it."""
    return graph.nodes.get(node_id.split(".")[0])


def _with_node(error: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    """The error, with the class and the title of the node at fault in its details: people know a node by these. An
    engine's refusal lists what it would take, other people's models among it: they are left out."""
    error = without_kept(error)
    node_id = (error.get("place") or {}).get("node_id")
    node = _node_of(node_id, graph) if isinstance(node_id, str) else None
    if node is None:
        return dict(error)
    named = {"class_type": node.class_type[:MAX_NAME], "title": node.title[:MAX_NAME]}
    return {**error, "details": {**(error.get("details") or {}), **named}}


def _needs_restart(outcome: Outcome) -> str | None:
    """Why the engine must not get another run as it is: it is out of memory or has lost its GPU."""
    error = outcome.error or {}
    return str(error.get("message")) if error.get("details", {}).get("needs_restart") else None


def _push_back(clock: asyncio.Timeout, seconds: float) -> None:
    """Let a clock that has not run out run for so long again; 0 is for ever."""
    if seconds and not clock.expired():
        clock.reschedule(asyncio.get_running_loop().time() + seconds)
