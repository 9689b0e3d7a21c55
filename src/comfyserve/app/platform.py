"""The platform of `comfyserve up`: APIs, workers, sweep and webhooks, in one process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI

from comfyserve.apis.build import APIS, PageApp, build_api
from comfyserve.apis.http.bundle import Services
from comfyserve.apis.http.wire import WireApi
from comfyserve.app.base import Base, agree_on_storage, build_record, lay_base, now
from comfyserve.app.outside import Outside, build_outside
from comfyserve.app.services import api_options, build_services
from comfyserve.app.workers import LOCAL_WORKER, build_pool, wanted_engines
from comfyserve.engines.fleet import Wanted, fleet, leftovers
from comfyserve.pages import Pages
from comfyserve.pools.local import LocalPool
from comfyserve.ports import Engine
from comfyserve.services.bell import hear_others
from comfyserve.services.deliver import Deliver
from comfyserve.services.examples import Examples
from comfyserve.services.keys import Keys
from comfyserve.services.record import Record
from comfyserve.services.records import Caller
from comfyserve.services.sweep import Keeping, Sweep
from comfyserve.settings import Settings, write_private

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
SWEEP_AGAIN_SECONDS = 0.5
DETAIL_DAYS = 30


@dataclass(frozen=True)
class Platform:
    """Everything, built and not started yet."""

    base: Base
    url: str
    api: FastAPI
    services: Services
    record: Record
    sweep: Sweep
    deliver: Deliver
    outside: Outside
    pool: LocalPool
    machine_id: str
    workers: int

    async def sign_in_url(self) -> str:
        """A one-time link that opens a session in a browser."""
        return f"{self.url}/sign-in#token={await self.services.keys.issue_sign_in()}"

    async def start_work(self) -> None:
        """Let the workers come, with their engines."""
        await self.pool.scale(self.machine_id, self.workers)


async def build(settings: Settings, url: str, *, ledger: type[Record] = Record) -> Platform:
    """Open the database and put the program together; `url` is where callers reach it."""
    base = await lay_base(settings, settings.data_dir, leftovers(settings.data_dir))
    agree_on_storage(settings, ours=True)
    services = build_services(base, url)
    await _ensure_admin(services.keys, settings)
    outside = await build_outside(settings, base.scratch)
    wanted = wanted_engines(settings, base.scratch)
    engines = await asyncio.to_thread(fleet, wanted) if settings.work_here else []
    return await compose(Foundation(base, url, services, outside, wanted, engines), pages=Pages(), ledger=ledger)


@dataclass(frozen=True)
class Foundation:
    """What a platform is composed on: `url` is where callers reach it, `engines` are makers of those that were wanted,
    one for each worker."""

    base: Base
    url: str
    services: Services
    outside: Outside
    wanted: Wanted
    engines: Sequence[Callable[[], Engine]]


async def compose(
    on: Foundation, *, apis: Sequence[WireApi] = APIS, pages: PageApp | None = None, ledger: type[Record] = Record
) -> Platform:
    """Put the parts together around one machine, the local one."""
    base, services = on.base, on.services
    settings = base.settings
    record = build_record(base, ledger)
    workspace_id = await services.keys.first_workspace()
    machine_id = await services.machines.ensure_local(workspace_id, kind=on.wanted.kind, workers=len(on.engines))
    keeping = Keeping(settings.keep_runs, DETAIL_DAYS, settings.keep_bytes)
    return Platform(
        base=base,
        url=on.url,
        api=build_api(services, api_options(settings, on.url, services, machine_id), pages, apis),
        services=services,
        record=record,
        sweep=Sweep(base.db, record, base.blobs, clock=now, clocks=base.clocks, keeping=keeping),
        deliver=Deliver(
            base.db,
            on.outside.sender,
            render={name: render for api in apis for name, render in api.webhooks.items()},
            clock=now,
            bell=base.bell,
            files=services.files,
            sealing=base.sealing,
            key=settings.webhook_key,
            tries=settings.webhook_tries,
        ),
        outside=on.outside,
        pool=build_pool(base, record, services.machines, on.outside, machine_id, on.engines),
        machine_id=machine_id,
        workers=len(on.engines),
    )


async def _ensure_admin(keys: Keys, settings: Settings) -> None:
    """At the first start: the admin's key, kept where only its owner can read it."""
    if (made := await keys.ensure_admin(settings.admin_key.get_secret_value() or None)) is not None:
        write_private(settings.admin_key_file, made + "\n")


@asynccontextmanager
async def running(platform: Platform) -> AsyncIterator[None]:
    """The platform at work: what `standing` does, and a worker pulls runs."""
    async with standing(platform):
        await platform.start_work()
        yield


@asynccontextmanager
async def standing(platform: Platform) -> AsyncIterator[None]:
    """What goes on without a worker, too: what a dead predecessor held is taken back, webhooks are delivered, the sweep
    goes round. At the end the workers are drained and everything is closed."""
    async with AsyncExitStack() as ending:
        ending.push_async_callback(platform.base.db.close)
        ending.push_async_callback(platform.base.blobs.close)
        ending.push_async_callback(platform.outside.close)
        await platform.record.release_workers(platform.machine_id, LOCAL_WORKER, reason="The server that ran it ended.")
        for work in _standing_work(platform):
            ending.push_async_callback(end, asyncio.create_task(work))
        ending.push_async_callback(platform.pool.close)
        yield


def _standing_work(platform: Platform) -> list[Coroutine[Any, Any, None]]:
    work = [_sweep(platform.sweep), platform.deliver.run()]
    if not platform.base.settings.work_here:
        work.append(hear_others(platform.base.bell, platform.base.db.version))
    return work


async def end(loop: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    loop.cancel()
    await asyncio.wait([loop])


async def _sweep(sweep: Sweep) -> None:
    pause = SWEEP_SECONDS
    while True:
        await asyncio.sleep(pause)
        pause = SWEEP_SECONDS
        try:
            if (await sweep.run_once()).more:
                pause = SWEEP_AGAIN_SECONDS
        except Exception:
            log.exception("sweep_failed")


async def seed(platform: Platform) -> str | None:
    """Deploy the example of the settings; the answer is its name."""
    name, services = platform.base.settings.example, platform.services
    if name == "none":
        return None
    admin = Caller(await services.keys.first_workspace(), "", "api", "example")
    examples = Examples(services.workflows, services.deployments, services.files)
    return (await examples.deploy(admin, examples_folder() / name)).name


def examples_folder() -> Path:
    """The bundled examples: in a checkout beside the sources, in a wheel inside the package."""
    packaged = Path(__file__).parents[1] / "_examples"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "examples"
