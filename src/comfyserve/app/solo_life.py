"""The life of solo from its start on: what the manifest asks for, the engine, the warm-up, and again at each start of
the engine; and how it is at every moment (stateless-comfyui-api.md sections 7.2 and 7.3)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from comfyserve.apis.stateless.options import Condition
from comfyserve.app.platform import Platform
from comfyserve.app.solo_engines import EngineRoom
from comfyserve.app.warmup import WarmUp
from comfyserve.services.records import MachineView
from comfyserve.services.topics import machine_state_topic

LOOK_SECONDS = 1.0
"""How long a missed ring can delay the news that the machine is ready."""

WARMING = "The warm-up runs."

Step = tuple[str, Callable[[], Awaitable[None]]]
"""What `/ready` says meanwhile, and what is done."""

log = structlog.get_logger(__name__)


class SoloEnds(Exception):
    """The program ends; the message says why."""


class Life:
    """Brings the program up and keeps its engines warm. `before` is done once, before the engines come; `after` once
    the first is warm. A later warm-up that fails is logged, and hides no engine that is warm already. From `max_depth`
    runs on `/ready` says no; 0: never. `missing` tells what is not there although work is taken."""

    def __init__(
        self,
        platform: Platform,
        room: EngineRoom,
        warmup: Callable[[], Awaitable[WarmUp | None]],
        *,
        before: Sequence[Step] = (),
        after: Callable[[], None] = lambda: None,
        max_depth: int = 0,
        missing: Callable[[], str] = lambda: "",
    ) -> None:
        self._platform = platform
        self._room = room
        self._warmup = warmup
        self._before = before
        self._after = after
        self._max_depth = max_depth
        self._missing = missing
        self._phase = "The server starts."
        self._warm = 0
        self.healthy = asyncio.Event()
        """Set once the first warm-up has finished; for ever."""

    async def live(self) -> None:
        """Go on until cancelled. Raises SoloEnds, and DomainError for a manifest or a warm-up that cannot be had."""
        for phase, step in self._before:
            self._enter(phase)
            await step()
        warmup = await self._warmup()
        self._enter("The engine is starting.")
        await self._platform.start_work()
        await self._engine_ready()
        while True:
            seen = self._room.starts
            await self._warm_up(warmup, max(1, seen - self._warm))
            self._warm = seen
            self._enter("")
            if not self.healthy.is_set():
                self.healthy.set()
                self._after()
            await self._room.another_start(seen)

    def leave(self) -> None:
        """Take no more work."""
        self._platform.pool.drain()
        self._enter("The server stops.")

    async def condition(self) -> Condition:
        """How it is now."""
        machine = await self._platform.services.machines.state(self._platform.machine_id)
        reason = self._reason(machine)
        return Condition(self.healthy.is_set(), not reason, machine.queued, machine.running, reason or self._missing())

    def _reason(self, machine: MachineView) -> str:
        """Why no work is taken now; empty when it is."""
        if machine.status == "failed" and machine.error:
            return str(machine.error.get("message") or "The engine cannot be started.")
        if self._phase and not (self._phase == WARMING and self._others_are_warm()):
            return self._phase
        if not self._room.up or machine.status != "ready":
            return "The engine does not answer, or is being started again."
        if self._warm < self._room.starts and not self._others_are_warm():
            return "The engine was started again, the warm-up runs."
        depth = machine.queued + machine.running
        if 0 < self._max_depth <= depth:
            return f"{depth} runs wait or execute; MAX_QUEUE_DEPTH is {self._max_depth}."
        return ""

    async def _engine_ready(self) -> None:
        machines, bell = self._platform.services.machines, self._platform.base.bell
        topic = machine_state_topic(self._platform.machine_id)
        while True:
            seen = bell.now(topic)
            if (await machines.state(self._platform.machine_id)).status == "ready":
                return
            await bell.wait(topic, LOOK_SECONDS, since=seen)

    def _others_are_warm(self) -> bool:
        """Whether more engines run than have been started since the last warm-up."""
        return self.healthy.is_set() and self._room.running > self._room.starts - self._warm

    async def _warm_up(self, warmup: WarmUp | None, times: int) -> None:
        if warmup is None:
            return
        self._enter(WARMING)
        problem = await warmup.run(times)
        if problem and not self.healthy.is_set():
            raise SoloEnds(f"The warm-up failed: {problem}")
        if problem:
            log.warning("solo.warm_up_failed", problem=problem)

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            log.info("solo.phase", phase=phase or "ready")
