"""The engines of solo: which one is there, how often they have started, and when the program ends with them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from comfyserve.core.errors import EngineLost, EngineUnreached
from comfyserve.engines.process import EngineState, ProcessEngine
from comfyserve.ports import Engine

DOWN = frozenset({EngineState.BACKOFF, EngineState.FATAL})
LOOK_SECONDS = 5.0
"""Between two looks whether engines elsewhere answer, and how long an answer may take."""

log = structlog.get_logger(__name__)

NOT_STARTED = "The engine has not been started yet."
KEPT = "Accepted work is kept for the next start. With ALWAYS_RESTART_COMFYUI=true the engine is started again instead."


class EngineRoom:
    """Watches the engines of this process. `restart`: an engine that ends is started again; else, and when one cannot
    be started in the first place, `ended` tells why the program ends."""

    def __init__(self, *, restart: bool) -> None:
        self._restart = restart
        self._engines: dict[int, Engine] = {}
        self._states: dict[int, EngineState] = {}
        self._ran: set[int] = set()
        self._answers = True
        self._started = asyncio.Event()
        self.starts = 0
        """How often an engine has become ready."""

        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def keeping(self, makers: Sequence[Callable[[], Engine]]) -> Sequence[Callable[[], Engine]]:
        """The same makers, whose engines are remembered."""
        return [self._keeping(number, make) for number, make in enumerate(makers)]

    def _keeping(self, number: int, make: Callable[[], Engine]) -> Callable[[], Engine]:
        def keep() -> Engine:
            engine = self._engines[number] = make()
            return engine

        return keep

    def on_state(self, number: int, engine: ProcessEngine, state: EngineState) -> None:
        """What an engine process tells of itself."""
        before = self._states.get(number)
        self._states[number] = state
        if state is EngineState.READY:
            self._ran.add(number)
            self._start()
        elif before is EngineState.READY and state in DOWN and not self._restart:
            self._end(f"{engine.failure.message} {KEPT}")
        elif state is EngineState.FATAL and (number not in self._ran or not self._restart):
            self._end(engine.failure.message)

    @property
    def up(self) -> bool:
        """Whether one of them runs; of engines elsewhere: whether one answered the last look."""
        if not self._states:
            return self._answers
        return any(state is EngineState.READY for state in self._states.values())

    @property
    def running(self) -> int:
        """How many run; of engines elsewhere one is known of at most."""
        return sum(state is EngineState.READY for state in self._states.values()) or int(self.up)

    async def watch_elsewhere(self, every: float = LOOK_SECONDS) -> None:
        """Look after engines that are no processes of ours, until cancelled. One that was away may have been started
        anew, and counts as started."""
        while True:
            await asyncio.sleep(every)
            if self._states or not self._engines:
                continue
            before, self._answers = self._answers, await self._one_answers(every)
            if self._answers and not before:
                self._start()

    async def _one_answers(self, seconds: float) -> bool:
        for engine in list(self._engines.values()):
            try:
                async with asyncio.timeout(seconds):
                    await engine.ready()
            except (EngineLost, TimeoutError):
                continue
            except Exception:
                log.exception("engine_not_looked_at")
                continue
            return True
        return False

    def _start(self) -> None:
        self.starts += 1
        self._started.set()

    def present(self) -> Engine:
        """One that runs, if one does. Raises EngineLost before the first start."""
        running = (number for number, state in self._states.items() if state is EngineState.READY)
        number = next(running, next(iter(self._engines), None))
        if number is None:
            raise EngineUnreached(NOT_STARTED)
        return self._engines[number]

    async def object_info(self) -> Mapping[str, Any]:
        """The node catalogue of one that runs. Raises EngineLost."""
        return await self.present().object_info()

    async def another_start(self, since: int) -> int:
        """Return when there were more starts than these; how many there were."""
        while self.starts <= since:
            self._started.clear()
            await self._started.wait()
        return self.starts

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
