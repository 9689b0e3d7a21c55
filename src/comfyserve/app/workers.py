"""Workers and their engines, in this process."""

import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from comfyserve.app.base import CONVERTING, Base, make_data_dir
from comfyserve.app.outside import Outside
from comfyserve.core.errors import EngineLost
from comfyserve.engines.fleet import Wanted
from comfyserve.engines.install import Installation, Installer
from comfyserve.pools.local import Chorus, LocalPool
from comfyserve.ports import Engine
from comfyserve.services.machines import Machines
from comfyserve.services.record import Record
from comfyserve.services.topics import machine_state_topic
from comfyserve.settings import Settings, read_headers
from comfyserve.work.collect import Converter, ConvertLimits
from comfyserve.work.limits import WorkLimits
from comfyserve.work.worker import MachineState, Worker

LOCAL_WORKER = "local-"
"""How the names of the server's own workers begin."""


def build_pool(
    base: Base,
    record: Record,
    machines: Machines,
    outside: Outside,
    machine_id: str,
    engines: Sequence[Callable[[], Engine]],
    *,
    name: str = LOCAL_WORKER,
) -> LocalPool:
    """Workers of this process, one for each engine, called after `name`."""
    settings = base.settings
    limits = WorkLimits(
        ahead=settings.runs_ahead,
        lease=settings.lease_seconds,
        drain=settings.drain_seconds,
        input_bytes=settings.max_upload_bytes,
        output_bytes=settings.max_output_bytes,
        storage=settings.storage_seconds,
        collect=settings.collect_seconds,
    )
    converter = Converter(
        base.scratch / CONVERTING,
        ConvertLimits(
            at_once=settings.conversions_at_once,
            seconds=settings.conversion_seconds,
            output_bytes=settings.max_output_bytes,
        ),
    )

    async def tell(state: MachineState, error: EngineLost | None) -> None:
        await machines.report_state(machine_id, state, error.as_dict() if error else None)
        base.bell.ring(machine_state_topic(machine_id))

    chorus = Chorus(tell)

    def make_worker(machine: str, index: int, another_idle: Callable[[], bool]) -> Worker:
        return Worker(
            machine_id=machine,
            worker_id=f"{name}{index}",
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
            names_key=base.sealing.names_key,
        )

    return LocalPool(make_worker, afterwards=converter.close)


def wanted_engines(settings: Settings, scratch: Path) -> Wanted:
    """What the settings say about engines; what they need for themselves lies below `scratch`."""
    moved = {"input": settings.comfy_input, "output": settings.comfy_output, "models": settings.comfy_models}
    steps = ("--step-ms", str(settings.simulated_step_ms), "--work-ms", str(settings.engine_work_ms))
    return Wanted(
        scratch,
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


async def install_engine(
    settings: Settings, *, folder: Path | None, on_line: Callable[[str], None], **wanted: Any
) -> dict[str, Any]:
    """Install a real ComfyUI, in the data directory unless `folder` is given; `wanted` are the other fields of a Wish.

    The answer is an Installed as JSON, or `{"error": ...}`."""
    make_data_dir(settings)
    installer = Installer(settings.comfy_source, settings.data_dir / "comfy-cli", os.environ, comfy=settings.comfy_cli)
    place = (folder or settings.data_dir / "comfyui").expanduser().absolute()
    return await installer.answer(Installation(place, **wanted), on_line)
