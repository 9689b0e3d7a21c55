"""The composition: builds everything from settings. The only file that imports everybody."""

import asyncio
import os
import secrets
import shlex
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import structlog
import uuid_utils
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from comfyserve import __version__
from comfyserve.apis.build import APIS, build_api
from comfyserve.apis.http.bundle import ApiOptions, Readiness, Services
from comfyserve.blobs.build import check_blobs, open_blobs
from comfyserve.blobs.own import hide_from_callers
from comfyserve.blobs.targets import OpenTargets, TargetOptions, check_wish
from comfyserve.core.errors import EngineLost, StorageFailed
from comfyserve.db.database import Database
from comfyserve.engines.fleet import Wanted, fleet, leftovers
from comfyserve.engines.install import Installer, Wish
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.fetching import Caps, Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound, place_of
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.sender import HttpSender
from comfyserve.pages import Pages
from comfyserve.pools.local import Chorus, LocalPool
from comfyserve.ports import Blobs, Clocks, Engine
from comfyserve.services.bell import LocalBell
from comfyserve.services.cancel import Cancel
from comfyserve.services.deliver import Deliver
from comfyserve.services.deployments import Deployments
from comfyserve.services.door import Door
from comfyserve.services.examples import Examples
from comfyserve.services.files import Files
from comfyserve.services.forms import EditorForms
from comfyserve.services.graphs import Graphs
from comfyserve.services.keys import Keys
from comfyserve.services.live import LocalLive
from comfyserve.services.machines import Machines
from comfyserve.services.media import MediaStore
from comfyserve.services.record import Record
from comfyserve.services.records import Caller
from comfyserve.services.runs import Runs
from comfyserve.services.sealing import Sealing
from comfyserve.services.submit import Submit, SubmitLimits
from comfyserve.services.sweep import Keeping, Sweep
from comfyserve.services.watch import Watch
from comfyserve.services.workflows import Workflows
from comfyserve.settings import Settings, read_headers, secret_of, write_private
from comfyserve.work.collect import NEEDS_IMAGES, Converter, ConvertLimits, conversion_available
from comfyserve.work.limits import WorkLimits
from comfyserve.work.worker import MachineState, Worker

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
SWEEP_AGAIN_SECONDS = 0.5
GRAPH_BYTES = 16 * 1024 * 1024
NODES_SECONDS = 15.0
"""How long a workflow in the editor's form waits for a starting machine to tell its nodes."""
DETAIL_DAYS = 30
DAY = 86400
CONVERTING = "converting"
SENDING = "sending"


def now() -> datetime:
    """The clock of the program."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh UUID, ordered by time."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True)
class Base:
    """What everything else is built on."""

    settings: Settings
    url: str
    db: Database
    bell: LocalBell
    live: LocalLive
    blobs: Blobs
    door: Door
    sealing: Sealing
    clocks: Clocks


@dataclass(frozen=True)
class Outside:
    """All that goes out on a caller's word, under one policy."""

    fetch: Fetching
    targets: OpenTargets
    sender: HttpSender
    proxy: GuardingProxy

    async def close(self) -> None:
        """Close the connections."""
        await self.fetch.close()
        await self.sender.close()
        await self.proxy.close()


@dataclass(frozen=True)
class Platform:
    """Everything, built and not started yet."""

    base: Base
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
        return f"{self.base.url}/sign-in#token={await self.services.keys.issue_sign_in()}"


async def build(settings: Settings, url: str, *, ledger: type[Record] = Record) -> Platform:
    """Open the database and put the program together; `url` is where callers reach it."""
    base = await _lay_base(settings, url)
    services = build_services(base)
    record = ledger(
        base.db,
        base.door,
        clock=now,
        ids=new_id,
        bell=base.bell,
        live=base.live,
        sealing=base.sealing,
        lease_seconds=settings.lease_seconds,
        clocks=base.clocks,
    )
    await _ensure_admin(services.keys, settings)
    workspace_id = await services.keys.first_workspace()
    wanted = wanted_engines(settings)
    engines = await asyncio.to_thread(fleet, wanted)
    machine_id = await services.machines.ensure_local(workspace_id, kind=wanted.kind, workers=len(engines))
    keeping = Keeping(settings.keep_runs, DETAIL_DAYS)
    outside = _build_outside(settings)
    return Platform(
        base=base,
        api=build_api(services, _api_options(base, services, machine_id), Pages()),
        services=services,
        record=record,
        sweep=Sweep(base.db, record, base.blobs, clock=now, clocks=base.clocks, keeping=keeping),
        deliver=Deliver(
            base.db,
            outside.sender,
            render={api.name: api.webhook_body for api in APIS},
            clock=now,
            bell=base.bell,
            url=services.files.url,
        ),
        outside=outside,
        pool=_build_pool(base, record, services.machines, outside, machine_id, engines),
        machine_id=machine_id,
        workers=len(engines),
    )


async def _lay_base(settings: Settings, url: str) -> Base:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (settings.data_dir / CONVERTING, settings.data_dir / SENDING, *leftovers(settings.data_dir)):
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    blobs = await open_storage(settings)
    return Base(
        settings=settings,
        url=url,
        db=await _open_database(settings),
        bell=LocalBell(),
        live=LocalLive(),
        blobs=blobs,
        door=Door(new_id),
        sealing=Sealing(secret_of(settings).encode()),
        clocks=Clocks(settings.queue_seconds, settings.start_seconds, settings.run_seconds, settings.heartbeat_seconds),
    )


async def open_storage(settings: Settings) -> Blobs:
    """Where files are kept, tried out. Raises InvalidInput, StorageFailed for a bucket that cannot be used."""
    blobs = open_blobs(
        settings.blobs,
        settings.data_dir,
        environment=os.environ,
        file_links=settings.file_links,
        storage_seconds=settings.storage_seconds,
    )
    hide_from_callers(os.environ)
    await check_blobs(blobs)
    return blobs


async def _open_database(settings: Settings) -> Database:
    """Raises StorageFailed for a file that is no database."""
    try:
        return await Database.open(settings.database_url)
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise StorageFailed(f"The database {settings.database_url} cannot be used: {reason}") from error


def build_services(base: Base) -> Services:
    """The use cases that the wire APIs call."""
    db, settings, graphs = base.db, base.settings, Graphs()
    files = Files(
        db,
        base.blobs,
        clock=now,
        ids=new_id,
        secret=secret_of(settings).encode(),
        public_url=base.url,
        url_seconds=settings.file_url_seconds,
        upload_limit=settings.max_upload_bytes,
    )
    machines = Machines(db, clock=now, ids=new_id)
    runs = Runs(db, url=files.url)
    forms = EditorForms(machines, graph_bytes=GRAPH_BYTES, wait_seconds=NODES_SECONDS)
    return Services(
        keys=Keys(
            db,
            clock=now,
            ids=new_id,
            random_bytes=secrets.token_bytes,
            session_seconds=settings.session_days * DAY,
            sign_in_seconds=settings.sign_in_seconds,
        ),
        forms=forms,
        workflows=Workflows(db, graphs, forms=forms, clock=now, ids=new_id, graph_bytes=GRAPH_BYTES),
        deployments=Deployments(db, graphs=graphs, machines=machines, clock=now, ids=new_id),
        machines=machines,
        submit=_build_submit(base, graphs, machines, files, runs, forms),
        runs=runs,
        watch=Watch(db, runs, bell=base.bell, live=base.live, url=files.url),
        cancel=Cancel(db, base.door, runs, clock=now, bell=base.bell),
        files=files,
    )


def _build_submit(
    base: Base, graphs: Graphs, machines: Machines, files: Files, runs: Runs, forms: EditorForms
) -> Submit:
    settings = base.settings
    return Submit(
        base.db,
        base.door,
        machines=machines,
        graphs=graphs,
        forms=forms,
        media=MediaStore(files, data_limit=settings.max_upload_bytes),
        runs=runs,
        sealing=base.sealing,
        clock=now,
        ids=new_id,
        draw=lambda low, high: low + secrets.randbelow(high - low + 1),
        bell=base.bell,
        limits=SubmitLimits(
            settings.max_queued,
            settings.max_attempts,
            GRAPH_BYTES,
            settings.max_body_bytes,
            no_conversion="" if conversion_available() else NEEDS_IMAGES,
            check_target=partial(check_wish, options=_target_options(settings)),
        ),
    )


def _build_pool(
    base: Base,
    record: Record,
    machines: Machines,
    outside: Outside,
    machine_id: str,
    engines: Sequence[Callable[[], Engine]],
) -> LocalPool:
    settings = base.settings
    limits = WorkLimits(
        ahead=settings.runs_ahead,
        lease=settings.lease_seconds,
        drain=settings.drain_seconds,
        input_bytes=settings.max_upload_bytes,
        output_bytes=settings.max_output_bytes,
        storage=settings.storage_seconds,
    )
    converter = Converter(
        settings.data_dir / CONVERTING,
        ConvertLimits(
            at_once=settings.conversions_at_once,
            seconds=settings.conversion_seconds,
            output_bytes=settings.max_output_bytes,
        ),
    )

    async def tell(state: MachineState, error: EngineLost | None) -> None:
        await machines.report_state(machine_id, state, error.as_dict() if error else None)

    chorus = Chorus(tell)

    def make_worker(machine: str, index: int, another_idle: Callable[[], bool]) -> Worker:
        return Worker(
            machine_id=machine,
            worker_id=f"local-{index}",
            engine=engines[index](),
            ledger=record,
            stop=record,
            live=base.live,
            bell=base.bell,
            blobs=base.blobs,
            fetch=outside.fetch,
            targets=outside.targets,
            limits=limits,
            monotonic=time.monotonic,
            another_idle=another_idle,
            report=chorus.voice(index),
            converter=converter,
        )

    return LocalPool(make_worker)


def _build_outside(settings: Settings) -> Outside:
    guard = Guard(settings.allow_private_network, proxies=getproxies())
    proxy = GuardingProxy(guard)
    lend = settings.fetch_credentials == "own"
    options = FetchOptions(
        settings.cache_folder,
        settings.cache_bytes,
        FetchingLimits(
            Caps(settings.max_upload_bytes, settings.fetch_seconds),
            Caps(settings.max_model_bytes, settings.model_seconds),
            settings.cache_fresh_seconds,
            settings.downloads_at_once,
        ),
        settings.hf_token.get_secret_value() if lend else "",
        settings.hf_endpoint,
        os.environ if lend else {},
        settings.blobs,
    )
    return Outside(
        open_fetching(guard, proxy, options), _build_targets(settings, guard, proxy), HttpSender(guard), proxy
    )


def _build_targets(settings: Settings, guard: Guard, proxy: GuardingProxy) -> OpenTargets:
    options = _target_options(settings)
    own = os.environ if options.lend_own else {}
    return OpenTargets(Outbound(guard, proxy, own=own, trusted=[place_of(settings.hf_endpoint)]), options)


def _target_options(settings: Settings) -> TargetOptions:
    lend = settings.target_credentials == "own"
    return TargetOptions(
        settings.data_dir / SENDING,
        storage_seconds=settings.storage_seconds,
        lend_own=lend,
        hub=settings.hf_endpoint,
        hub_token=settings.hf_token.get_secret_value() if lend else "",
    )


def wanted_engines(settings: Settings) -> Wanted:
    """What the settings say about engines."""
    moved = {"input": settings.comfy_input, "output": settings.comfy_output, "models": settings.comfy_models}
    steps = ("--step-ms", str(settings.simulated_step_ms), "--work-ms", str(settings.engine_work_ms))
    return Wanted(
        settings.data_dir,
        urls=_names(settings.comfy_url),
        headers=read_headers(settings.comfy_headers.get_secret_value()),
        home=Path(settings.comfy_home) if settings.comfy_home else None,
        command=shlex.split(settings.comfy_command),
        arguments=shlex.split(settings.comfy_args),
        environment={name: os.environ[name] for name in _names(settings.comfy_env) if name in os.environ},
        moved={kind: Path(folder).expanduser().absolute() for kind, folder in moved.items() if folder},
        host=settings.comfy_host,
        port=settings.comfy_port,
        start_seconds=float(settings.engine_start_seconds),
        gpus=settings.gpus,
        number=settings.workers,
        simulation=(*steps, *shlex.split(settings.embedded_args)),
    )


def _names(line: str) -> Sequence[str]:
    return line.replace(",", " ").split()


def _api_options(base: Base, services: Services, machine_id: str) -> ApiOptions:
    settings = base.settings

    async def readiness() -> Readiness:
        machine = await services.machines.state(machine_id)
        facts = {"database": "ok", "engine": machine.status} | ({"error": machine.error} if machine.error else {})
        return Readiness(machine.status == "ready", facts)

    return ApiOptions(
        public_url=base.url,
        version=__version__,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        max_streams=settings.max_streams,
        sync_seconds=settings.sync_seconds,
        session_seconds=settings.session_days * DAY,
        cors_origins=tuple(settings.cors_origins.replace(",", " ").split()),
        ready=readiness,
    )


async def _ensure_admin(keys: Keys, settings: Settings) -> None:
    """At the first start: the admin's key, kept where only its owner can read it."""
    if (made := await keys.ensure_admin(settings.admin_key.get_secret_value() or None)) is not None:
        write_private(settings.admin_key_file, made + "\n")


@asynccontextmanager
async def running(platform: Platform) -> AsyncIterator[None]:
    """The platform at work: what a dead predecessor held is taken back, a worker pulls runs, the sweep goes round."""
    async with AsyncExitStack() as ending:
        ending.push_async_callback(platform.base.db.close)
        ending.push_async_callback(platform.base.blobs.close)
        ending.push_async_callback(platform.outside.close)
        await platform.record.release_worker(platform.machine_id, reason="The server that ran it ended.")
        for work in (_sweep(platform.sweep), platform.deliver.run()):
            ending.push_async_callback(_end, asyncio.create_task(work))
        ending.push_async_callback(platform.pool.close)
        await platform.pool.scale(platform.machine_id, platform.workers)
        yield


async def _end(loop: asyncio.Task[None]) -> None:
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


async def install_engine(
    settings: Settings, *, folder: Path | None, on_line: Callable[[str], None], **wanted: Any
) -> dict[str, Any]:
    """Install a real ComfyUI, in the data directory unless `folder` is given; `wanted` are the other fields of a Wish.

    The answer is an Installed as JSON, or `{"error": ...}`."""
    installer = Installer(settings.comfy_source, settings.data_dir / "comfy-cli", os.environ, comfy=settings.comfy_cli)
    place = (folder or settings.data_dir / "comfyui").expanduser().absolute()
    return await installer.answer(Wish(place, **wanted), on_line)


def examples_folder() -> Path:
    """The bundled examples: in a checkout beside the sources, in a wheel inside the package."""
    packaged = Path(__file__).parent / "_examples"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples"
