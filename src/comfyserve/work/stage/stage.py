"""Fetch the media that a claimed graph names, hand them to the engine, and rewrite the graph."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from comfyserve.core.errors import DomainError, EngineLost, InvalidInput, NotFound, Place, StorageFailed, TooLarge
from comfyserve.core.media import ASSET_PREFIX, MediaPlace, extension_of, fits, media_places, renamed, sniff_mime
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.ports import Blobs, ByteStream, Claim, Engine, Fetch
from comfyserve.work.gathering import gather
from comfyserve.work.limits import WorkLimits
from comfyserve.work.stage.own import make_own

SUBFOLDER = "comfyserve"
READ_BYTES = 256 * 1024
ENDING = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True)
class Staged:
    """A graph that its engine can run as it stands, the files that were put there for it, and the nodes that the
    engine executes anew for it, whatever its cache holds."""

    graph: Mapping[str, Any]
    files: Sequence[EngineFile]
    own_nodes: Set[str]
    bytes: int
    seconds: float

    def left_behind(self, outputs: Sequence[NodeOutput]) -> list[EngineFile]:
        """The files that no other run needs, outside of the attempt's folder: those put there for it and the previews
        of its own nodes. What another node names may come from the engine's cache again, or be no work of this run."""
        made = (output.file for output in outputs if output.node_id in self.own_nodes and output.file is not None)
        return [*(file for file in made if file.type == "temp"), *self.files]


@dataclass(frozen=True)
class _Source:
    """One distinct value of the graph and the places that hold it."""

    value: str
    places: Sequence[MediaPlace]

    @property
    def place(self) -> Place:
        return Place(node_id=self.places[0].node_id, field=self.places[0].label)


class Stage:
    """Media by URL, data URI and asset; each distinct value is fetched once, however many nodes name it."""

    def __init__(self, engine: Engine, blobs: Blobs, fetch: Fetch, limits: WorkLimits) -> None:
        self._engine = engine
        self._blobs = blobs
        self._fetch = fetch
        self._limits = limits

    async def stage(self, claim: Claim, files: list[EngineFile]) -> Staged:
        """Stage everything at the same time. `files` is filled with what the engine is given, also when this fails.

        Raises InvalidInput, FetchRefused, FetchFailed, TooLarge, NotFound, StorageFailed, EngineError, EngineLost."""
        began = asyncio.get_running_loop().time()
        sources = _sources(claim)
        uploads = await gather(self._bring(claim, source, index, files) for index, source in enumerate(sources))
        changes: dict[str, dict[str, Any]] = {}
        names = {source.value: name for source, (name, _) in zip(sources, uploads, strict=True)}
        for place in (place for source in sources for place in source.places):
            value = claim.graph.nodes[place.node_id].inputs[place.field]
            changes.setdefault(place.node_id, {})[place.field] = renamed(value, names)
        graph = claim.graph.with_inputs(changes) if changes else claim.graph
        own_graph, own_nodes = make_own(graph, claim.attempt_id)
        return Staged(
            own_graph,
            files,
            own_nodes,
            sum(size for _, size in uploads),
            asyncio.get_running_loop().time() - began,
        )

    async def _bring(self, claim: Claim, source: _Source, index: int, files: list[EngineFile]) -> tuple[str, int]:
        """Upload one source; the answer is the engine's name for it and its size. Every error has its place."""
        try:
            async with self._open(claim, source) as content:
                head = await anext(content, b"")
                mime = _check_kind(head, source)
                counted = _Counted(head, content, self._limits.input_bytes, source.place)
                name = f"{claim.attempt_id}_{index}{_ending(mime, claim, source)}"
                files.append(EngineFile(name, SUBFOLDER, "input"))
                stored = await self._engine.upload(name, counted, subfolder=SUBFOLDER)
                return stored, counted.size
        except EngineLost:
            raise
        except DomainError as error:
            error.place = source.place
            raise
        except OSError as error:
            raise StorageFailed(f"The storage did not give an input: {error.strerror}.", place=source.place) from error

    def _open(self, claim: Claim, source: _Source) -> AbstractAsyncContextManager[ByteStream]:
        if not source.value.startswith(ASSET_PREFIX):
            return self._fetched(source)
        asset = claim.assets.get(source.value.removeprefix(ASSET_PREFIX))
        if asset is None:
            raise NotFound(f"The file {source.value} is not kept any more. Upload it again.")
        if asset.size > self._limits.input_bytes:
            raise TooLarge(f"The file {asset.filename} is larger than the limit of {self._limits.input_bytes} bytes.")
        return self._blobs.open(asset.blob_key)

    @asynccontextmanager
    async def _fetched(self, source: _Source) -> AsyncIterator[ByteStream]:
        async with self._fetch.fetch(source.value, limit=self._limits.input_bytes) as fetched:
            yield _read(fetched.path.open("rb"))


class _Counted:
    """A stream with its first piece put back, counted and bounded on the way."""

    def __init__(self, head: bytes, rest: ByteStream, limit: int, place: Place) -> None:
        self.size = 0
        self._head: bytes | None = head
        self._rest = rest
        self._limit = limit
        self._place = place

    def __aiter__(self) -> "_Counted":
        return self

    async def __anext__(self) -> bytes:
        piece, self._head = self._head, None
        if not piece:
            piece = await anext(self._rest)
        self.size += len(piece)
        if self.size > self._limit:
            raise TooLarge(f"The file is larger than the limit of {self._limit} bytes.", place=self._place)
        return piece


async def _read(file: BufferedReader) -> ByteStream:
    with file:
        while piece := await asyncio.to_thread(file.read, READ_BYTES):
            yield piece


def _check_kind(head: bytes, source: _Source) -> str | None:
    mime = sniff_mime(head)
    place = source.places[0]
    if not fits(place.kind, mime):
        found = mime or ("an empty file" if not head else "something else")
        raise InvalidInput(
            f"{place.label} needs {place.kind.words} data, but what was sent is {found}.", place=source.place
        )
    return mime


def _ending(mime: str | None, claim: Claim, source: _Source) -> str:
    """The file ending that its first bytes say; for a kind that they do not show, the one that its name has."""
    if mime is not None:
        return extension_of(mime)
    asset = claim.assets.get(source.value.removeprefix(ASSET_PREFIX))
    name = asset.filename if asset else urlsplit(source.value).path
    ending = PurePosixPath(name).suffix.lower()
    return ending if ENDING.fullmatch(ending) else extension_of(None)


def _sources(claim: Claim) -> list[_Source]:
    places: dict[str, list[MediaPlace]] = {}
    for place in media_places(claim.graph):
        places.setdefault(place.value, []).append(place)
    return [_Source(value, found) for value, found in places.items()]
