"""The files that a bound graph names: what is sent as data becomes assets, our own URLs become references to them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfyserve.core.data_uri import decode_data_uri
from comfyserve.core.errors import DomainError, InvalidInput, Place
from comfyserve.core.graph import Graph
from comfyserve.core.media import ASSET_PREFIX, MediaPlace, extension_of, fits, renamed, sniff_mime
from comfyserve.services.files import Files
from comfyserve.services.records import Caller
from comfyserve.services.spooled import NO_TEXTS, LongTexts, decoded

DATA = "data:"
SHORT = 64 * 1024
"""Characters of a data URI that are decoded at once."""


@dataclass(frozen=True)
class SettledMedia:
    """A graph without data URIs and without URLs of ours; `names` maps what was replaced to `asset:<id>`.

    `made` are the assets that data became: they belong to the run that they were sent with. `texts` puts back what was
    in files and is none.
    """

    graph: Graph
    names: Mapping[str, str]
    made: Sequence[str] = ()
    texts: LongTexts = field(default_factory=lambda: LongTexts(NO_TEXTS))

    @property
    def asset_ids(self) -> list[str]:
        """The assets that the graph names."""
        return sorted({name.removeprefix(ASSET_PREFIX) for name in self.names.values()})

    def shown(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a caller sent as it is kept: with names in the place of data."""
        return {key: self._named(value) for key, value in self.texts.put_back(values, self.names).items()}

    def _named(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._named(item) for item in value]
        known = renamed(value.strip(), self.names) if isinstance(value, str) else value
        return known if known != value else value


class MediaStore:
    """Settles the media of graphs before they are queued."""

    def __init__(self, files: Files, *, data_limit: int) -> None:
        """`data_limit`: the most bytes that one data URI may hold."""
        self._files = files
        self._limit = data_limit

    async def settle(
        self, caller: Caller, graph: Graph, media: Sequence[MediaPlace], spooled: Mapping[str, Path] = NO_TEXTS
    ) -> SettledMedia:
        """Store and resolve each distinct value once. Raises InvalidInput, TooLarge, NotFound with the input's name.

        `spooled`: the files of the request, each by the token that stands for it; a token that stands where no file
        is wanted becomes its text again.
        """
        places = {place.value: place for place in media}
        names: dict[str, str] = {}
        made: list[str] = []
        texts = LongTexts(spooled)
        try:
            for value, place in places.items():
                if (asset_id := await self._asset(caller, place, spooled)) is not None:
                    names[value] = f"{ASSET_PREFIX}{asset_id}"
                    made += [asset_id] if _is_data(value) else []
            settled = await asyncio.to_thread(_settled, graph, media, names, texts) if spooled else None
        except BaseException:
            await self.discard(caller, made)
            raise
        return SettledMedia(settled or _settled(graph, media, names, texts), names, made, texts)

    async def discard(self, caller: Caller, made: Sequence[str]) -> None:
        """Remove what was made for a run that is not queued after all."""
        for asset_id in made:
            await self._files.remove(caller, asset_id)

    async def _asset(self, caller: Caller, place: MediaPlace, spooled: Mapping[str, Path]) -> str | None:
        where = Place(node_id=place.node_id, field=place.label)
        try:
            if _is_data(place.value):
                return await self._store(caller, place, where, spooled.get(place.value))
            return await self._files.resolve(caller, place.value)
        except DomainError as error:
            error.place = where
            raise

    async def _store(self, caller: Caller, place: MediaPlace, where: Place, path: Path | None) -> str:
        content = _inline(place.value, self._limit) if path is None else decoded(path, self._limit)
        first = await _next(content)
        mime = sniff_mime(first)
        if not first or not fits(place.kind, mime):
            raise InvalidInput(
                f"{place.label} needs {place.kind.words} data; this is not a file of that kind.", place=where
            )
        name = f"{place.label}{extension_of(mime)}"
        asset = await self._files.upload(caller, name, mime, _stream(first, content))
        return asset.id


def _settled(graph: Graph, media: Sequence[MediaPlace], names: Mapping[str, str], texts: LongTexts) -> Graph:
    """The graph with assets for data, and with texts for the tokens that stand for no file."""
    changes = {
        node_id: {name: renamed(value, names) for name, value in graph.nodes[node_id].inputs.items()}
        for node_id in {place.node_id for place in media}
    }
    return texts.in_graph(graph.with_inputs(changes))


def _inline(uri: str, limit: int) -> Iterator[bytes]:
    _, pieces = decode_data_uri(uri, limit)
    return iter([b"".join(pieces)]) if len(uri) <= SHORT else pieces


async def _next(pieces: Iterator[bytes]) -> bytes:
    """The next piece that is not empty; empty at the end."""
    return await asyncio.to_thread(next, filter(None, pieces), b"")


async def _stream(first: bytes, rest: Iterator[bytes]) -> AsyncIterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = await _next(rest)


def _is_data(value: str) -> bool:
    return value[: len(DATA)].lower() == DATA
