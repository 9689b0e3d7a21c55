"""Workers that live in this process."""

import asyncio
from collections.abc import Callable

import structlog

from comfyserve.work.worker import Worker

log = structlog.get_logger(__name__)

WorkerFactory = Callable[[str, int, Callable[[], bool]], Worker]
"""Makes a worker from its machine, its number, and a function that tells whether another one of the machine is idle."""


class LocalPool:
    """A Pool whose workers are tasks of this event loop, each with an engine of its own."""

    def __init__(self, make_worker: WorkerFactory) -> None:
        self._make_worker = make_worker
        self._workers: dict[str, dict[int, Worker]] = {}
        self._tasks: dict[Worker, asyncio.Task[None]] = {}

    async def scale(self, machine_id: str, workers: int) -> None:
        """Want this many workers for a machine; surplus ones are drained before this returns."""
        here = self._workers.setdefault(machine_id, {})
        for index in range(workers):
            if index not in here:
                self._start(machine_id, index)
        await asyncio.gather(*(self._end(machine_id, index) for index in list(here) if index >= workers))

    async def close(self) -> None:
        """Drain and stop all workers."""
        await asyncio.gather(*(self.scale(machine_id, 0) for machine_id in list(self._workers)))

    def _start(self, machine_id: str, index: int) -> None:
        here = self._workers[machine_id]
        worker = self._make_worker(machine_id, index, lambda: self._another_idle(machine_id, index))
        here[index] = worker
        self._tasks[worker] = asyncio.create_task(worker.run(), name=worker.worker_id)
        self._tasks[worker].add_done_callback(_log_crash)

    async def _end(self, machine_id: str, index: int) -> None:
        worker = self._workers[machine_id].pop(index)
        task = self._tasks.pop(worker)
        worker.drain()
        await asyncio.wait([task])

    def _another_idle(self, machine_id: str, index: int) -> bool:
        return any(other.idle for number, other in self._workers[machine_id].items() if number != index)


def _log_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("worker_crashed", worker=task.get_name(), error=repr(error))
