"""`comfyserve solo`: the platform's own services and workers, with the dialect of comfyui-api in front of them."""

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from comfyserve import __version__
from comfyserve.apis.stateless.api import STATELESS
from comfyserve.apis.stateless.download import downloads_of
from comfyserve.apis.stateless.options import StatelessOptions, tell_nobody
from comfyserve.app.base import Base, lay_base
from comfyserve.app.outside import build_outside, configured_uploads
from comfyserve.app.platform import Foundation, Platform, compose, end, standing
from comfyserve.app.services import build_services
from comfyserve.app.solo_callers import Callers
from comfyserve.app.solo_engines import EngineRoom
from comfyserve.app.solo_header import configured_addresses, own_header
from comfyserve.app.solo_life import Life, Step
from comfyserve.app.solo_models import ModelDesk
from comfyserve.app.system import System, build_system
from comfyserve.app.warmup import Graph, WarmUp, checkpoint_of, forget_warm_ups, warmup_graph
from comfyserve.app.workers import wanted_engines
from comfyserve.engines.fleet import FIRST, fleet, leftovers
from comfyserve.interpreter import packages_folder
from comfyserve.provision import Provision, provision
from comfyserve.services.model_orders import ModelOrders
from comfyserve.services.record import Record
from comfyserve.solo_settings import PUBLIC_SETTINGS, SoloSettings, read_events, split_keys
from comfyserve.workflows import WorkflowContext, WorkflowFolder, load_workflows

ORDERS_FOLDER = "model-orders"

AGAIN_SECONDS = 1.0
"""Until a watcher that failed is started again."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Solo:
    """Everything, built and not started yet."""

    settings: SoloSettings
    platform: Platform
    room: EngineRoom
    life: Life
    workflows: WorkflowFolder
    callers: Callers
    manifest: Provision | None
    system: System


async def build_solo(settings: SoloSettings, url: str, *, ledger: type[Record] = Record) -> Solo:
    """Open the state folder and put the program together; `url` is where callers reach it."""
    base = await lay_base(settings, settings.data_dir, leftovers(settings.data_dir))
    services = build_services(base, url)
    await services.keys.ensure_workspace()
    system = _system(base, settings)
    configured = configured_addresses(settings)
    outside = await build_outside(
        settings, base.scratch, own=own_header(settings), tell=system.tell, configured=configured
    )
    wanted = replace(wanted_engines(settings, base.scratch), tell=system.tell)
    room = EngineRoom(restart=settings.restart_engine)
    makers = await asyncio.to_thread(fleet, wanted, on_state=room.on_state)
    foundation = Foundation(base, url, services, outside, wanted, room.keeping(makers))
    platform = await compose(foundation, apis=(STATELESS,), ledger=ledger)
    callers = Callers(await services.keys.first_workspace(), split_keys(settings.api_keys))
    desk = ModelDesk(room, outside.fetch, models_folder(settings), settings.downloads_at_once)
    warmup = _Warmup(settings, platform, callers)
    workflows = await load_workflows(Path(settings.workflow_dir), _context(settings, room, desk, warmup))
    manifest = _manifest(settings, platform, system)
    life = _life(settings, platform, room, warmup, manifest)
    solo = Solo(settings, platform, room, life, workflows, callers, manifest, system)
    platform.api.state.stateless = _options(solo, desk)
    return solo


def _options(solo: Solo, desk: ModelDesk) -> StatelessOptions:
    """What the dialect may know of the program behind it."""
    settings = solo.settings
    return StatelessOptions(
        version=__version__,
        condition=solo.life.condition,
        caller=solo.callers,
        models=desk.models,
        check_model=desk.check,
        download=desk.download,
        prefetch=desk.prefetch,
        workflows=solo.workflows.endpoints,
        unreadable=solo.workflows.unreadable,
        uploads=configured_uploads(os.environ),
        strict=settings.strict,
        prepend_filenames=settings.prepend_filenames,
        cancel_abandoned=settings.cancel_abandoned,
        accept_seconds=settings.accept_seconds,
        sync_seconds=settings.sync_seconds,
        public_links=bool(settings.public_url),
        port=settings.port,
        keyed=solo.callers.keyed,
        tell=solo.system.tell or tell_nobody,
        orders=ModelOrders(settings.data_dir / ORDERS_FOLDER, solo.platform.base.sealing),
    )


def _life(
    settings: SoloSettings, platform: Platform, room: EngineRoom, warmup: "_Warmup", manifest: Provision | None
) -> Life:
    named = settings.warmup_file or settings.warmup_url
    steps: list[Step] = [("The server starts.", warmup.forget)]
    if named:
        steps.append(("The warm-up is being fetched.", warmup.fetch))
    if manifest is not None:
        steps.append(("What the manifest names is being installed.", manifest.before_start))
    after = manifest.after_start.begin if manifest is not None else lambda: None
    return Life(
        platform,
        room,
        warmup.ready,
        before=steps,
        after=after,
        max_depth=settings.max_queue_depth,
        missing=partial(_missing, manifest),
    )


def _missing(manifest: Provision | None) -> str:
    """The models of the manifest that did not come after the start."""
    failures = manifest.after_start.failures if manifest is not None else {}
    return " ".join(f"{path}: {sentence}" for path, sentence in failures.items())


def _system(base: Base, settings: SoloSettings) -> System:
    """Who is told of system events and of the depth of the queue."""
    return build_system(
        base,
        url=settings.system_webhook_url,
        events=read_events(settings.system_webhook_events),
        environment=os.environ,
        key=settings.webhook_key,
        tries=settings.webhook_tries,
    )


@asynccontextmanager
async def standing_solo(solo: Solo) -> AsyncIterator[None]:
    """What goes on beside the engine: deliveries, the sweep. At the end everything is closed."""
    async with AsyncExitStack() as ending:
        await ending.enter_async_context(standing(solo.platform))
        await ending.enter_async_context(solo.system.running())
        ending.push_async_callback(solo.workflows.close)
        for work in _watching(solo):
            ending.push_async_callback(end, asyncio.create_task(work))
        if solo.manifest is not None:
            ending.push_async_callback(solo.manifest.close)
        yield


def _watching(solo: Solo) -> list[Coroutine[Any, Any, None]]:
    """What goes on until the end, whatever happens in it."""
    work = [going_on("engines", solo.room.watch_elsewhere), _promised(solo)]
    if solo.settings.workflow_reload:
        work.append(going_on("workflows", solo.workflows.watch))
    return work


async def _promised(solo: Solo) -> None:
    """Once the engine is warm: the models that a solo before this one had promised."""
    await solo.life.healthy.wait()
    await downloads_of(solo.platform.api).go_on()


async def going_on(name: str, work: Callable[[], Awaitable[None]], pause: float = AGAIN_SECONDS) -> None:
    """Do the work for ever: what it raises is logged, and it begins again after a pause."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("solo.watcher_failed", watcher=name)
        await asyncio.sleep(pause)


def models_folder(settings: SoloSettings) -> Path | None:
    """Where the engine's models lie on this machine; None for an engine elsewhere."""
    if settings.comfy_models:
        return Path(settings.comfy_models).expanduser().absolute()
    if settings.comfy_url:
        return None
    return comfy_folder(settings) / "models"


def comfy_folder(settings: SoloSettings) -> Path:
    """The folder of the ComfyUI, or of the embedded engine."""
    home = settings.comfy_home
    return Path(home).expanduser().absolute() if home else settings.data_dir / FIRST


class _Warmup:
    """The graph of the settings, once it is there."""

    def __init__(self, settings: SoloSettings, platform: Platform, callers: Callers) -> None:
        self._settings = settings
        self._platform = platform
        self._callers = callers
        self.graph: Graph | None = None

    async def fetch(self) -> None:
        """Read the file, or fetch the address."""
        fetch = self._platform.outside.operator
        self.graph = await warmup_graph(self._settings.warmup_file, self._settings.warmup_url, fetch)

    async def forget(self) -> None:
        """Take away what an earlier solo left of its own warm-up."""
        platform, cancel = self._platform, self._platform.services.cancel
        await forget_warm_ups(platform.base.db, self._callers.everybody, cancel, platform.sweep)

    async def ready(self) -> WarmUp | None:
        """What runs it; None without a graph."""
        services = self._platform.services
        if self.graph is None:
            return None
        return WarmUp(
            self.graph,
            self._callers.everybody,
            submit=services.submit,
            watch=services.watch,
            sweep=self._platform.sweep,
        )


def _context(settings: SoloSettings, room: EngineRoom, desk: ModelDesk, warmup: _Warmup) -> WorkflowContext:
    """What workflow files may know of the program."""
    return WorkflowContext(
        catalogue=room.object_info,
        models=desk.models,
        warmup_ckpt=lambda: checkpoint_of(warmup.graph),
        settings=public_settings(settings),
        markdown=settings.markdown_schema,
        variables=settings.workflow_variables.replace(",", " ").split(),
    )


def public_settings(settings: SoloSettings) -> dict[str, Any]:
    """The settings that workflow files and the log may see."""
    return settings.model_dump(mode="json", include=set(PUBLIC_SETTINGS))


def _manifest(settings: SoloSettings, platform: Platform, system: System) -> Provision | None:
    """Read before anything starts, so that a mistake in it is told at once. Raises InvalidInput."""
    return provision(
        manifest_json=settings.manifest_json,
        manifest=settings.manifest,
        comfy_home=comfy_folder(settings),
        comfy_command=shlex.split(settings.comfy_command),
        models=models_folder(settings),
        fetch=platform.outside.operator,
        environment=os.environ,
        own_prefix=Path(sys.prefix) if packages_folder() is None else None,
        seconds=settings.provision_seconds,
        tell=system.tell or tell_nobody,
    )
