"""Workers that live in this process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from comfyserve.core.errors import EngineLost
from comfyserve.work.worker import MachineState, Report, Worker

log = structlog.get_logger(__name__)

CRASH_PAUSE_SECONDS = (0.5, 2.0, 10.0, 30.0)
"""How long the place of a worker that crashed stays empty, the first time and each time after; the last one stays."""

STABLE_SECONDS = 60.0
"""A worker that lasted so long has made up for earlier crashes."""

BEST: Sequence[MachineState] = ("failed", "starting", "ready")
"""The better a state, the later it comes."""

WorkerFactory = Callable[[str, int, Callable[[], bool]], Worker]
"""Makes a worker from its machine, its number, and a function that tells whether another one of the machine is idle."""


class Chorus:
    """What the workers of a machine say of it, made one: it is ready while one of them is."""

    def __init__(self, tell: Report) -> None:
        self._tell = tell
        self._said: dict[int, tuple[MachineState, EngineLost | None]] = {}

    def voice(self, index: int) -> Report:
        """The report of one worker."""

        async def report(state: MachineState, error: EngineLost | None) -> None:
            self._said[index] = (state, error)
            await self._tell(*max(self._said.values(), key=lambda said: BEST.index(said[0])))

        return report


class LocalPool:
    """A Pool whose workers are tasks of this event loop, each with an engine of its own."""

    def __init__(self, make_worker: WorkerFactory, *, afterwards: Callable[[], Awaitable[None]] | None = None) -> None:
        """`afterwards` lets go of what the workers share, when all of them have ended."""
        self._make_worker = make_worker
        self._afterwards = afterwards
        self._seats: dict[str, dict[int, _Seat]] = {}

    async def scale(self, machine_id: str, workers: int) -> None:
        """Want this many workers for a machine; surplus ones are drained before this returns."""
        here = self._seats.setdefault(machine_id, {})
        for index in range(workers):
            if index not in here:
                self._start(machine_id, index)
        await asyncio.gather(*(here.pop(index).end() for index in list(here) if index >= workers))

    def drain(self) -> None:
        """Claim nothing more, from this moment on; `close` waits for what executes."""
        for here in self._seats.values():
            for seat in here.values():
                seat.drain()

    async def close(self) -> None:
        """Drain and stop all workers."""
        await asyncio.gather(*(self.scale(machine_id, 0) for machine_id in list(self._seats)))
        if self._afterwards is not None:
            await self._afterwards()

    def _start(self, machine_id: str, index: int) -> None:
        def another_idle() -> bool:
            return any(seat.idle for number, seat in self._seats[machine_id].items() if number != index)

        self._seats[machine_id][index] = _Seat(lambda: self._make_worker(machine_id, index, another_idle))


class _Seat:
    """The place of a worker, and of the next one whenever it crashes."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._worker: Worker | None = make()
        self._leaving = asyncio.Event()
        self._task = asyncio.create_task(self._keep())

    @property
    def idle(self) -> bool:
        """Whether a worker is here that has nothing to do."""
        return self._worker is not None and self._worker.idle

    def drain(self) -> None:
        """Let the worker claim nothing more, and come no other."""
        self._leaving.set()
        if self._worker is not None:
            self._worker.drain()

    async def end(self) -> None:
        """Drain the worker and wait for its end."""
        self.drain()
        await asyncio.wait({self._task})

    async def _keep(self) -> None:
        now, crashes = asyncio.get_running_loop().time, 0
        while not self._leaving.is_set():
            began = now()
            try:
                self._worker = self._worker or self._make()
                await self._worker.run()
                return
            except Exception:
                log.exception("worker_crashed", worker=self._worker and self._worker.worker_id)
            self._worker = None
            crashes = 0 if now() - began > STABLE_SECONDS else crashes
            with suppress(TimeoutError):
                async with asyncio.timeout(CRASH_PAUSE_SECONDS[min(crashes, len(CRASH_PAUSE_SECONDS) - 1)]):
                    await self._leaving.wait()
            crashes += 1
