"""The engines of this machine: which of the three kinds, how many, and each with what it needs for itself."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import structlog

from comfyserve.engines.gpus import Seen, share_out
from comfyserve.engines.launch import DEFAULT_PORT, Launch, comfyui, embedded, takes_arguments, with_temp
from comfyserve.engines.models import MODELS
from comfyserve.engines.process import EngineState, ProcessEngine
from comfyserve.engines.remote import READY_SECONDS, RemoteEngine, split_login
from comfyserve.ports import Engine, TellSystem

FIRST = "engine"
"""The folder, in the data directory, of the one embedded engine that most have; the next is `engine-2`."""

SHARED = ("custom_nodes", "models")
PASSING = ("output", "temp", "input/comfyserve", "input/3d/comfyserve")
"""Below an engine's folder: what a run leaves there when the server is killed."""

Kind = Literal["embedded", "process", "remote"]

OnState = Callable[[int, ProcessEngine, EngineState], None]
"""Is told every state that an engine process enters, with its number."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What the settings say about engines. `number` 0: one for each GPU or URL, and one embedded engine.

    `moved` are the folders of a ComfyUI that an operator has put elsewhere (`input`, `output`, `models`); `host` and
    `port` are where a command listens that has no `{port}`, the second engine on the next port. `tell` gets what the
    engines say that is a system event.
    """

    folder: Path
    urls: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    home: Path | None = None
    command: Sequence[str] = ()
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    moved: Mapping[str, Path] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    start_seconds: float = 300.0
    gpus: str = "auto"
    number: int = 0
    simulation: Sequence[str] = ()
    tell: TellSystem | None = None

    @property
    def kind(self) -> Kind:
        """Which of the three kinds: a URL wins, then a ComfyUI to start."""
        if self.urls:
            return "remote"
        return "process" if self.home or self.command else "embedded"

    def told(self) -> str:
        """The engines in words, for the greeting."""
        if self.kind == "remote":
            return f"ComfyUI at {', '.join(split_login(url)[0] for url in self.urls)}"
        if self.kind == "embedded":
            return (
                "embedded, models are simulated (set COMFYSERVE_COMFY_HOME or COMFYSERVE_COMFY_URL for a real ComfyUI)"
            )
        started = f"ComfyUI started by `{shlex.join(self.command)}`" if self.command else "ComfyUI"
        return f"{started} in {self.home}" if self.home else started


def _unwatched(number: int, engine: ProcessEngine, state: EngineState) -> None:
    """Nobody wants to know."""


def fleet(
    wanted: Wanted, *, gpus: Callable[[str], Sequence[Seen]] = share_out, on_state: OnState = _unwatched
) -> Sequence[Callable[[], Engine]]:
    """A maker for each engine; a maker is called again when its worker crashed. Blocks while GPUs are looked for."""
    if wanted.kind == "remote":
        return [_remote(wanted, url) for url in wanted.urls]
    launches = _embedded(wanted) if wanted.kind == "embedded" else _comfyui(wanted, gpus(wanted.gpus))
    return [_process(launch, index, on_state, wanted.tell) for index, launch in enumerate(launches)]


def leftovers(folder: Path) -> list[Path]:
    """The folders of embedded engines in which a server that was killed leaves what nobody asks for any more."""
    return [engine / name for engine in (folder / FIRST, *folder.glob(f"{FIRST}-*")) for name in PASSING]


def _remote(wanted: Wanted, url: str) -> Callable[[], Engine]:
    seconds, models = min(READY_SECONDS, wanted.start_seconds), wanted.moved.get(MODELS)
    return lambda: RemoteEngine(url, headers=wanted.headers, models=models, tell=wanted.tell, ready_seconds=seconds)


def _process(launch: Launch, number: int, on_state: OnState, tell: TellSystem | None) -> Callable[[], Engine]:
    def make() -> Engine:
        engine = ProcessEngine(launch, on_state=lambda state: on_state(number, engine, state), tell=tell)
        return engine

    return make


def _embedded(wanted: Wanted) -> list[Launch]:
    """Each over a folder of its own; the nodes and models of the first are the others', too."""
    folders = [_own_folder(wanted.folder, index) for index in range(wanted.number or 1)]
    for folder in folders[1:]:
        folder.mkdir(parents=True, exist_ok=True)
        for name in SHARED:
            (folders[0] / name).mkdir(parents=True, exist_ok=True)
            if not (folder / name).exists():
                (folder / name).symlink_to(folders[0] / name)
    return [_named(embedded(folder, *wanted.simulation), index, len(folders)) for index, folder in enumerate(folders)]


def _comfyui(wanted: Wanted, seen: Sequence[Seen]) -> list[Launch]:
    """One engine for each GPU; more than there are GPUs share them in turn. Those of one ComfyUI share its folders but
    for the temporary files."""
    base = comfyui(wanted.home, *wanted.arguments, command=wanted.command, moved=wanted.moved)
    number = wanted.number or len(seen)
    if number > 1 and not takes_arguments(base.command):
        log.warning("engine.shared_temp", command=shlex.join(base.command), engines=number)
    return [_one_of(base, wanted, index, number, seen[index % len(seen)]) for index in range(number)]


def _one_of(base: Launch, wanted: Wanted, index: int, number: int, seen: Seen) -> Launch:
    launch = replace(
        base,
        env={**wanted.environment, **seen},
        host=base.host if base.chooses_port else wanted.host,
        port=wanted.port + index,
        start_seconds=wanted.start_seconds,
    )
    if number > 1:
        launch = with_temp(launch, _own_folder(wanted.folder, index))
    return _named(launch, index, number)


def _own_folder(folder: Path, index: int) -> Path:
    return folder / (FIRST if index == 0 else f"{FIRST}-{index + 1}")


def _named(launch: Launch, index: int, number: int) -> Launch:
    return replace(launch, name=f"{launch.name} {index + 1}") if number > 1 else launch
