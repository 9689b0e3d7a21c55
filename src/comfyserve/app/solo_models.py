"""Models and files from outside for solo: always asked of an engine that runs at that moment."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from comfyserve.app.solo_engines import EngineRoom
from comfyserve.core.credentials import Credential
from comfyserve.core.graph import Graph
from comfyserve.engines.models import untold_models
from comfyserve.ports import Engine, Fetch
from comfyserve.services.model_files import ModelArrived, ModelFiles, ModelOrder, nothing_on_disk
from comfyserve.services.prefetch import Prefetch
from comfyserve.work.stage.told import Telling

TELLING_SECONDS = 30.0
"""How long what an engine tells of its nodes and models is taken for true."""


@dataclass(frozen=True)
class _About:
    """The use cases around one engine."""

    engine: Engine
    files: ModelFiles
    prefetch: Prefetch


class ModelDesk:
    """`folder` is that of the models, where it is on this machine; `at_once`: files that one call fetches at the same
    time. Every method may raise EngineLost."""

    def __init__(self, room: EngineRoom, fetch: Fetch, folder: Path | None, at_once: int) -> None:
        self._room = room
        self._fetch = fetch
        self._folder = folder
        self._at_once = at_once
        self._now: _About | None = None

    async def models(self) -> Mapping[str, Sequence[str]]:
        """Kind -> names."""
        return await self._about().files.models()

    async def check(self, order: ModelOrder) -> None:
        """Raise InvalidInput for an order that cannot be carried out."""
        await self._about().files.check(order)

    async def download(self, order: ModelOrder) -> ModelArrived:
        """Fetch a model and offer it to the engine."""
        return await self._about().files.download(order)

    async def prefetch(self, graph: Graph, credentials: Sequence[Credential]) -> None:
        """Bring what a graph names by address into the cache."""
        await self._about().prefetch.prefetch(graph, credentials)

    def _about(self) -> _About:
        engine = self._room.present()
        if self._now is None or self._now.engine is not engine:
            on_disk = partial(untold_models, self._folder) if self._folder else nothing_on_disk
            files = ModelFiles(self._fetch, engine, clock=time.monotonic, on_disk=on_disk)
            told = Telling(engine, TELLING_SECONDS)
            self._now = _About(engine, files, Prefetch(self._fetch, told.about, at_once=self._at_once))
        return self._now
