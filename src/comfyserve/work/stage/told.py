"""What an engine tells of its nodes and models, asked only when a graph has an address that no table knows."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyserve.core.graph import Graph
from comfyserve.core.models import undecided
from comfyserve.ports import Engine


@dataclass(frozen=True)
class Told:
    """A catalogue and the lists of models, both of one moment; None when nobody had to ask."""

    catalogue: Mapping[str, Any] | None = None
    model_folders: Mapping[str, Sequence[str]] | None = None


class Telling:
    """The engine's answers, kept for a while: they are large, and a real ComfyUI takes its time for them."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self._kept: tuple[float, Told] | None = None
        self._turn = asyncio.Lock()

    async def about(self, graph: Graph) -> Told:
        """What there is to know for this graph. Raises EngineLost."""
        if not undecided(graph):
            return Told()
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if self._kept is not None and now - self._kept[0] < self._seconds and _knows(self._kept[1], graph):
                return self._kept[1]
            told = Told(await self._engine.object_info(), await self._engine.model_folders())
            self._kept = now, told
            return told


def _knows(told: Told, graph: Graph) -> bool:
    return all(node.class_type in (told.catalogue or {}) for node in graph.nodes.values())
