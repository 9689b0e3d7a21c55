"""Warm the download cache with every file that a graph names, so that a wrong address is told before the run waits."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from comfyserve.core.addresses import is_url
from comfyserve.core.credentials import Credential
from comfyserve.core.errors import DomainError, EngineLost, InvalidInput, Place
from comfyserve.core.gathering import gather
from comfyserve.core.graph import Graph
from comfyserve.core.media import media_places
from comfyserve.core.models import credentials_for, model_places
from comfyserve.ports import Fetch, Purpose


class Told(Protocol):
    """What an engine tells of its nodes and models; None when nobody had to ask."""

    @property
    def catalogue(self) -> Mapping[str, Any] | None:
        """The answer of `/object_info`."""

    @property
    def model_folders(self) -> Mapping[str, Sequence[str]] | None:
        """Kind of model -> the names that the engine offers."""


@dataclass(frozen=True)
class _Nothing:
    catalogue: Mapping[str, Any] | None = None
    model_folders: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class _Wish:
    """One address, the place that names it first, and what opens it."""

    url: str
    purpose: Purpose
    place: Place
    credentials: Sequence[Credential] = field(repr=False)


class Prefetch:
    """Brings what a graph names by URL into the cache, `at_once` files at the same time; `most` is how many one graph
    may name. `about` is who asks the engine when no table knows a field."""

    def __init__(
        self, fetch: Fetch, about: Callable[[Graph], Awaitable[Told]], *, at_once: int = 8, most: int = 1000
    ) -> None:
        self._fetch = fetch
        self._about = about
        self._at_once = at_once
        self._most = most

    async def prefetch(self, graph: Graph, credentials: Sequence[Credential] = ()) -> None:
        """Return when all files are in the cache, each fetched once. What fails first ends the rest, and is raised with
        the node and the field that name it: InvalidInput, FetchRefused, FetchFailed, TooLarge, StorageFailed.

        An engine that is away tells nothing of its nodes; what only it could tell is left to the run."""
        wishes = list(
            {(wish.url, wish.purpose): wish for wish in reversed([*await self._wishes(graph, credentials)])}.values()
        )
        if len(wishes) > self._most:
            raise InvalidInput(f"The graph names more than {self._most} files by address. Send fewer.")
        room = asyncio.Semaphore(self._at_once)
        await gather(self._warm(wish, room) for wish in wishes)

    async def _wishes(self, graph: Graph, credentials: Sequence[Credential]) -> Iterator[_Wish]:
        try:
            told = await self._about(graph)
        except EngineLost:
            told = _Nothing()
        return _read(graph, told, credentials)

    async def _warm(self, wish: _Wish, room: asyncio.Semaphore) -> None:
        async with room:
            try:
                async with self._fetch.fetch(wish.url, purpose=wish.purpose, credentials=wish.credentials):
                    return
            except DomainError as error:
                error.place = wish.place
                raise


def _read(graph: Graph, told: Told, credentials: Sequence[Credential]) -> Iterator[_Wish]:
    """Raises InvalidInput for a model of which nobody knows the kind."""
    for media in media_places(graph, told.catalogue):
        if is_url(media.value):
            yield _Wish(media.value, "input", Place(node_id=media.node_id, field=media.label), credentials)
    for model in model_places(graph, told.catalogue, told.model_folders):
        place = Place(node_id=model.node_id, field=model.label)
        yield _Wish(model.url, "model", place, credentials_for(graph, model, credentials))
