"""A worker: owns one engine, claims runs of one machine, runs them, records what happened."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

import structlog

from comfyserve.core.errors import EngineError, EngineLost, EngineUnreached
from comfyserve.core.kept_names import without_kept
from comfyserve.ports import STOP_TOPIC, Bell, Blobs, Claim, Engine, Fetch, Ledger, Live, Stop, Targets, machine_topic
from comfyserve.work.attempt import Attempt, Life, Tools
from comfyserve.work.collect import Collect, Converter
from comfyserve.work.crowds import Crowds, Stay
from comfyserve.work.limits import WorkLimits
from comfyserve.work.places import Places
from comfyserve.work.stage import Stage
from comfyserve.work.waiting import unless

log = structlog.get_logger(__name__)

TIDY_SECONDS = 0.5
SHUT_DOWN = "The worker was shut down."
LEAVE_SECONDS = 5.0
"""How long the attempts that are left at a shutdown may take to give their runs back."""

MOST_PAUSE_SECONDS = 15.0
BUSY_TIMES = 5
"""How many times older the catalogue of an engine that always executes may become."""

MachineState = Literal["starting", "ready", "failed"]

Report = Callable[[MachineState, EngineLost | None], Awaitable[None]]
"""Is told the machine's state (starting, ready, failed) and why it failed."""


class Worker:
    """Pulls runs until `drain`. One run executes, `limits.ahead` more are staged; a few of each key wait for files, or
    for a storage."""

    def __init__(
        self,
        *,
        machine_id: str,
        worker_id: str,
        engine: Engine,
        ledger: Ledger,
        stop: Stop,
        live: Live,
        bell: Bell,
        blobs: Blobs,
        fetch: Fetch,
        limits: WorkLimits,
        monotonic: Callable[[], float],
        another_idle: Callable[[], bool] = lambda: False,
        report: Report,
        converter: Converter | None = None,
        targets: Targets | None = None,
        names_key: bytes | None = None,
    ) -> None:
        """`another_idle`: whether a worker of this machine would take a run at once, so that this one leaves it.
        `names_key`: see Stage."""
        self.machine_id = machine_id
        self.worker_id = worker_id
        self._engine = engine
        self._ledger = ledger
        self._stop = stop
        self._bell = bell
        self._limits = limits
        self._another_idle = another_idle
        self._report = report
        self._tools = Tools(
            engine,
            ledger,
            live,
            Stage(engine, blobs, fetch, limits, names_key),
            Collect(engine, blobs, limits, converter=converter, targets=targets),
            limits,
            monotonic,
        )
        self._attempts: dict[Attempt, asyncio.Task[None]] = {}
        self._life = Life()
        self._places = Places(limits, self._look_again)
        self._crowds = Crowds(limits, self._look_again)
        self._done: list[Attempt] = []
        self._draining = asyncio.Event()
        self._failures = 0
        self._renewed = asyncio.get_running_loop().time()
        self._published = 0.0
        self._stops_seen = bell.now(STOP_TOPIC)
        self._empty_at: int | None = None  # the ring of the bell at which the queue was known to be empty

    @property
    def idle(self) -> bool:
        """Whether the engine has nothing to do."""
        return all(attempt.executed.is_set() or attempt.place.aside for attempt in self._attempts)

    async def run(self) -> None:
        """Work until drained. The engine is closed at the end, whatever the ending."""
        rounds = (self._renew, self._watch_stops, self._tidy_up, self._refresh_catalogue)
        watchers = [asyncio.create_task(self._keep_doing(one_round)) for one_round in rounds]
        try:
            await self._tell("starting")
            while not self._draining.is_set():
                if await self._make_ready():
                    await self._claim_runs()
                    await self._tell("starting")
            await self._wind_down()
            await self._tidy()
        except Exception as error:
            await self._tell("failed", EngineLost(f"A worker of this machine crashed, see the log: {error!r}"))
            raise
        finally:
            for task in [*watchers, *self._attempts.values()]:
                task.cancel()
            await self._engine.close()

    async def _keep_doing(self, one_round: Callable[[], Awaitable[None]]) -> None:
        """Round after round until the worker ends; one that fails costs no more than itself."""
        while True:
            try:
                await one_round()
            except Exception:
                log.exception("watcher_failed", machine_id=self.machine_id, watcher=one_round.__name__)
                await asyncio.sleep(self._limits.poll)

    def _look_again(self) -> None:
        self._bell.ring(machine_topic(self.machine_id))

    def drain(self) -> None:
        """Claim nothing more; `run` ends when what executes has ended, or when its time for that is over."""
        self._draining.set()
        self._look_again()

    async def _wind_down(self) -> None:
        """What has not begun goes back to the queue at once, what executes after the drain time."""
        for attempt in self._attempts:
            if not attempt.begun:
                attempt.leave(SHUT_DOWN)
        await self._attempts_end(self._limits.drain)
        for attempt in self._attempts:
            attempt.leave(SHUT_DOWN)
        await self._attempts_end(LEAVE_SECONDS)

    async def _attempts_end(self, seconds: float) -> None:
        if self._attempts:
            await asyncio.wait(self._attempts.values(), timeout=seconds)

    async def _make_ready(self) -> bool:
        """Start the engine if need be; the runs that wait stay queued while it cannot be started."""
        try:
            if await unless(self._draining, self._start_engine()) is None:
                return False
        except EngineLost as error:
            log.error("engine_not_ready", machine_id=self.machine_id, error=error.message)
            await self._tell("failed", error)
        except Exception:
            log.exception("engine_start_failed", machine_id=self.machine_id)
        else:
            self._failures = 0
            await self._tell("ready")
            return True
        self._failures += 1
        await self._pause()
        return False

    async def _start_engine(self) -> bool:
        await self._engine.ready()
        try:
            await self._publish_catalogue()
        except EngineUnreached:
            raise
        except EngineLost as error:
            await self._engine.restart(f"it said that it is ready and does not answer: {error.message}")
            await self._publish_catalogue()
        return True

    async def _publish_catalogue(self) -> None:
        shown = await asyncio.to_thread(without_kept, await self._engine.object_info())
        await self._ledger.publish_catalogue(self.machine_id, shown)
        self._published = asyncio.get_running_loop().time()

    async def _refresh_catalogue(self) -> None:
        """Tell what nodes and models the engine has by now, when it is idle, and now and then when it never is.

        One that does not answer although it is idle is made ready again before a run needs it."""
        every = self._limits.catalogue
        await asyncio.sleep(every)
        old = asyncio.get_running_loop().time() - self._published
        if not self._published or old < every or not (self.idle or old >= every * BUSY_TIMES):
            return
        with suppress(EngineLost):
            try:
                await self._publish_catalogue()
            except EngineLost as error:
                log.warning("engine_silent", machine_id=self.machine_id, error=error.message)
                await self._wake()

    async def _wake(self) -> None:
        if self.idle:
            await self._engine.ready()

    async def _tell(self, state: MachineState, error: EngineLost | None = None) -> None:
        """Report the machine's state; that the report fails stops no work."""
        try:
            await self._report(state, error)
        except Exception:
            log.exception("report_failed", machine_id=self.machine_id, state=state)

    async def _claim_runs(self) -> None:
        """Claim and start runs until the engine is lost or we drain."""
        self._life = life = Life()
        while not self._draining.is_set() and not life.lost.is_set():
            place = await (unless(self._draining, self._places.take()) if self._places.full else self._places.take())
            if place is None:
                return
            claim = await self._next_claim(life.lost)
            if claim is None:
                place.give_back()
                continue
            stay = self._crowds.admit(claim)
            attempt = Attempt(claim, self._tools, place, stay, lambda: self._life)
            self._attempts[attempt] = asyncio.create_task(self._carry(attempt, stay))

    async def _next_claim(self, lost: asyncio.Event) -> Claim | None:
        topic = machine_topic(self.machine_id)
        seen = self._bell.now(topic)
        if self._draining.is_set() or lost.is_set():
            return None
        if seen != self._empty_at and (self.idle or not self._another_idle()):
            try:
                if (claim := await self._claim()) is not None:
                    self._empty_at = None if claim.more else seen
                    return claim
            except Exception:
                log.exception("claim_failed", machine_id=self.machine_id)
        await self._bell.wait(topic, self._limits.poll, since=seen)
        self._empty_at = None
        return None

    async def _claim(self) -> Claim | None:
        return await self._ledger.claim(self.machine_id, self.worker_id, self._crowds.busy)

    async def _carry(self, attempt: Attempt, stay: Stay) -> None:
        """Run an attempt; its place is free for the next run as soon as the engine is done with it."""
        freed = asyncio.create_task(self._free_place(attempt))
        try:
            await attempt.run()
        finally:
            await freed
            stay.end()
            self._attempts.pop(attempt, None)
            if attempt.engine_lost:
                attempt.life.lost.set()
                self._look_again()
            if attempt.left_behind is not None:
                self._done.append(attempt)

    async def _tidy_up(self) -> None:
        """Let the engine forget, many at once, what its callers have the answers of."""
        await asyncio.sleep(TIDY_SECONDS)
        await self._tidy()

    async def _tidy(self) -> None:
        done, self._done = self._done, []
        if not done:
            return
        with suppress(EngineLost, EngineError):
            files = [file for attempt in done for file in attempt.left_behind or ()]
            await self._engine.forget([attempt.claim.attempt_id for attempt in done], files)

    async def _free_place(self, attempt: Attempt) -> None:
        await attempt.executed.wait()
        attempt.place.give_back()

    async def _renew(self) -> None:
        """Keep the leases alive; what is not ours any more, or cannot be renewed in time, is left."""
        limit, now = self._limits.lease, asyncio.get_running_loop().time
        await asyncio.sleep(limit / 3)
        held = {attempt.claim.lease.token: attempt for attempt in self._attempts}
        asked = now()
        try:
            async with asyncio.timeout(limit / 3):
                ours = await self._ledger.renew([attempt.claim.lease for attempt in held.values()]) if held else held
            self._renewed = asked
        except Exception:
            log.exception("renew_failed", machine_id=self.machine_id)
            ours = held if now() - self._renewed < limit / 2 else {}
        for token, attempt in held.items():
            if token not in ours:
                attempt.lose()

    async def _watch_stops(self) -> None:
        """Pass cancel wishes on to the attempts they mean."""
        self._stops_seen = await self._bell.wait(STOP_TOPIC, self._limits.poll, since=self._stops_seen)
        held = {attempt.claim.run.id: attempt for attempt in self._attempts}
        for run_id in await self._stop.wished(held) if held else ():
            held[run_id].cancel()

    async def _pause(self) -> None:
        """Wait before the next try, longer each time: an engine that cannot start costs time at every try."""
        await unless(
            self._draining, asyncio.sleep(min(self._limits.poll * 2 ** (self._failures - 1), MOST_PAUSE_SECONDS))
        )
