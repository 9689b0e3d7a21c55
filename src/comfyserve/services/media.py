"""The files that a bound graph names: data URIs become assets, our own URLs become references to them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyserve.core.data_uri import decode_data_uri
from comfyserve.core.errors import DomainError, InvalidInput, Place
from comfyserve.core.graph import Graph
from comfyserve.core.media import ASSET_PREFIX, MediaPlace, extension_of, fits, renamed, sniff_mime
from comfyserve.services.files import Files
from comfyserve.services.records import Caller

DATA = "data:"
PIECE = 64 * 1024


@dataclass(frozen=True)
class SettledMedia:
    """A graph without data URIs and without URLs of ours; `names` maps what was replaced to `asset:<id>`.

    `made` are the assets that data URIs became: they belong to the run that they were sent with.
    """

    graph: Graph
    names: Mapping[str, str]
    made: Sequence[str] = ()

    @property
    def asset_ids(self) -> list[str]:
        """The assets that the graph names."""
        return sorted({name.removeprefix(ASSET_PREFIX) for name in self.names.values()})

    def shown(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """A caller's inputs as they are kept: with names in the place of data."""
        return {key: self._named(value) for key, value in inputs.items()}

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

    async def settle(self, caller: Caller, graph: Graph, media: Sequence[MediaPlace]) -> SettledMedia:
        """Store and resolve each distinct value once. Raises InvalidInput, TooLarge, NotFound with the input's name."""
        places = {place.value: place for place in media}
        names: dict[str, str] = {}
        made: list[str] = []
        try:
            for value, place in places.items():
                if (asset_id := await self._asset(caller, place)) is not None:
                    names[value] = f"{ASSET_PREFIX}{asset_id}"
                    made += [asset_id] if _is_data(value) else []
        except BaseException:
            await self.discard(caller, made)
            raise
        changes = {
            node_id: {name: renamed(value, names) for name, value in graph.nodes[node_id].inputs.items()}
            for node_id in {place.node_id for place in media}
        }
        return SettledMedia(graph.with_inputs(changes), names, made)

    async def discard(self, caller: Caller, made: Sequence[str]) -> None:
        """Remove what was made for a run that is not queued after all."""
        for asset_id in made:
            await self._files.remove(caller, asset_id)

    async def _asset(self, caller: Caller, place: MediaPlace) -> str | None:
        where = Place(node_id=place.node_id, field=place.label)
        try:
            if _is_data(place.value):
                return await self._store(caller, place, where)
            return await self._files.resolve(caller, place.value)
        except DomainError as error:
            error.place = where
            raise

    async def _store(self, caller: Caller, place: MediaPlace, where: Place) -> str:
        content = await asyncio.to_thread(_content, place.value, self._limit)
        mime = sniff_mime(content)
        if not content or not fits(place.kind, mime):
            raise InvalidInput(
                f"{place.label} needs {place.kind.words} data; this is not a file of that kind.", place=where
            )
        asset = await self._files.upload(caller, f"{place.label}{extension_of(mime)}", mime, _pieces(content))
        return asset.id


def _content(uri: str, limit: int) -> bytes:
    _, pieces = decode_data_uri(uri, limit)
    return b"".join(pieces)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


def _is_data(value: str) -> bool:
    return value[: len(DATA)].lower() == DATA
