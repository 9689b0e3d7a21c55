"""Workers in a process of their own, beside a server of the same machine: they share its database and its files."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from comfyserve.app.base import agree_on_storage, build_record, lay_base, new_id, now
from comfyserve.app.locking import held
from comfyserve.app.outside import build_outside
from comfyserve.app.workers import build_pool, wanted_engines
from comfyserve.core.errors import Conflict, NotFound
from comfyserve.engines.fleet import fleet, leftovers
from comfyserve.services.bell import hear_others
from comfyserve.services.machines import Machines
from comfyserve.settings import Settings

FOLDER = "workers"
SEATS = 64
LOCK = "worker.lock"


@contextmanager
def seat(data_dir: Path) -> Iterator[Path]:
    """A folder for the scratch files of this process alone; its lock ends with the process. Raises Conflict."""
    for number in range(1, SEATS + 1):
        folder = data_dir / FOLDER / str(number)
        with held(folder / LOCK) as ours:
            if ours:
                yield folder
                return
    raise Conflict(f"{SEATS} worker processes use {data_dir} already.")


@asynccontextmanager
async def working(settings: Settings, machine: str) -> AsyncIterator[int]:
    """Workers for a machine, one for each engine, until the context is left; how many there are.

    Raises NotFound when no server with this data directory knows the machine.
    """
    if not settings.admin_key_file.exists():
        raise NotFound(f"No server has used {settings.data_dir} yet. Start `comfyserve up` with it first.")
    agree_on_storage(settings, ours=False)
    async with AsyncExitStack() as ending:
        scratch = ending.enter_context(seat(settings.data_dir))
        base = await lay_base(settings, scratch, leftovers(scratch))
        ending.push_async_callback(base.db.close)
        ending.push_async_callback(base.blobs.close)
        machines = Machines(base.db, clock=now, ids=new_id)
        machine_id = await machines.named(machine)
        engines = await asyncio.to_thread(fleet, wanted_engines(settings, scratch))
        outside = await build_outside(settings, scratch)
        ending.push_async_callback(outside.close)
        ending.callback(asyncio.create_task(hear_others(base.bell, base.db.version)).cancel)
        name = f"{socket.gethostname()}-{os.getpid()}-"
        pool = build_pool(base, build_record(base), machines, outside, machine_id, engines, name=name)
        ending.push_async_callback(pool.close)
        await pool.scale(machine_id, len(engines))
        yield len(engines)
