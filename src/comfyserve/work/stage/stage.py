"""Fetch the files that a claimed graph names, hand them to the engine, and rewrite the graph."""

import asyncio
import secrets
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from comfyserve.core.errors import InvalidInput
from comfyserve.core.gathering import gather
from comfyserve.core.media import check_media_names, media_places
from comfyserve.core.models import ModelPlace, check_model_names, model_places
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.ports import Blobs, Claim, Engine, Fetch
from comfyserve.work.limits import WorkLimits
from comfyserve.work.stage.holding import Holding
from comfyserve.work.stage.media import Brought, Media, Source, changes_of, sources_of
from comfyserve.work.stage.models import Models
from comfyserve.work.stage.models import changes_of as model_changes_of
from comfyserve.work.stage.own import make_own
from comfyserve.work.stage.told import Telling

T = TypeVar("T")


@dataclass(frozen=True)
class Staged:
    """A graph that its engine can run as it stands, the files that were put there for it, the nodes that the engine
    executes anew for it, whatever its cache holds, and how many models it was offered."""

    graph: Mapping[str, Any]
    files: Sequence[EngineFile]
    own_nodes: Set[str]
    bytes: int
    seconds: float
    models: int = 0

    def left_behind(self, outputs: Sequence[NodeOutput]) -> list[EngineFile]:
        """The files that no other run needs, outside of the attempt's folder: those put there for it and the previews
        of its own nodes. What another node names may come from the engine's cache again, or be no work of this run."""
        made = (output.file for output in outputs if output.node_id in self.own_nodes and output.file is not None)
        return [*(file for file in made if file.type == "temp"), *self.files]


class Stage:
    """Media by URL, data URI and asset, models by URL; each distinct value is fetched once, however many nodes name
    it."""

    def __init__(
        self, engine: Engine, blobs: Blobs, fetch: Fetch, limits: WorkLimits, names_key: bytes | None = None
    ) -> None:
        """`names_key`: the secret in the names of private models; without one they have others in each life."""
        self._engine = engine
        self._media = Media(engine, blobs, fetch, limits)
        self._models = Models(engine, fetch, names_key or secrets.token_bytes())
        self._telling = Telling(engine, limits.catalogue)
        self._limits = limits

    async def stage(self, claim: Claim, holding: Holding) -> Staged:
        """Stage everything at the same time, after all names were looked at.

        Raises InvalidInput, FetchRefused, FetchFailed, TooLarge, NotFound, StorageFailed, EngineError, EngineLost."""
        now, graph = asyncio.get_running_loop().time, claim.graph
        began = now()
        told = await self._telling.about(graph)
        check_media_names(graph, told.catalogue)
        check_model_names(graph)
        sources = sources_of(list(media_places(graph, told.catalogue)), claim.attempt_id)
        places = model_places(graph, told.catalogue, told.model_folders)
        distinct = {(place.url, place.folder): place for place in reversed(places)}
        if len(sources) + len(distinct) > self._limits.inputs:
            raise InvalidInput(f"The graph names more than {self._limits.inputs} files by address. Send fewer.")
        brought, names = await self._bring(claim, sources, distinct.values(), holding)
        named = dict(zip(distinct, names, strict=True))
        changes = changes_of(sources, brought, graph, self._engine)
        offered = [named[place.url, place.folder] for place in places]
        for node_id, fields in model_changes_of(graph, places, offered).items():
            changes.setdefault(node_id, {}).update(fields)
        own_graph, own_nodes = make_own(graph.with_inputs(changes) if changes else graph, claim.attempt_id)
        size = sum(one.size for one in brought)
        return Staged(own_graph, holding.files, own_nodes, size, now() - began, len(distinct))

    async def _bring(
        self, claim: Claim, sources: Sequence[Source], models: Collection[ModelPlace], holding: Holding
    ) -> tuple[list[Brought], list[str]]:
        """All files and models at the same time, each in the order of what asks for it."""
        if not sources and not models:
            return [], []
        brought, names = await gather(
            [
                self._all(self._media.bring(claim, source, holding) for source in sources),
                self._all(self._models.bring(claim, place, holding) for place in models),
            ]
        )
        return brought, names

    async def _all(self, work: Iterable[Coroutine[Any, Any, T]]) -> list[Any]:
        """The results in order, of a few at a time."""
        room = asyncio.Semaphore(self._limits.transfers)

        async def one(coroutine: Coroutine[Any, Any, T]) -> T:
            async with room:
                return await coroutine

        return await gather(one(coroutine) for coroutine in work)
