"""Bring the media that a graph names to the engine's inputs, and say what the fields name then."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import PurePosixPath
from typing import Any

from comfyserve.core.addresses import asset_of, is_url
from comfyserve.core.errors import DomainError, EngineLost, InvalidInput, NotFound, Place, StorageFailed, TooLarge
from comfyserve.core.graph import Graph
from comfyserve.core.media import MediaKind, MediaPlace, extension_of, fits, renamed, sniff_mime
from comfyserve.core.outputs import EngineFile
from comfyserve.ports import Blobs, ByteStream, Claim, Engine, Fetch
from comfyserve.work.limits import WorkLimits
from comfyserve.work.stage.holding import Holding

SUBFOLDER = "comfyserve"
INPUT = "input"
"""The folder of an engine's inputs as a path from its base: what nodes that open paths are given when we do not know
where the engine lies."""

READ_BYTES = 256 * 1024
ENDING = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True)
class Source:
    """One file to bring, and the places that want it; `stem` and `subfolder` say where it goes."""

    value: str
    places: Sequence[MediaPlace]
    stem: str
    subfolder: str

    @property
    def place(self) -> Place:
        """Where an error about it sits."""
        return Place(node_id=self.places[0].node_id, field=self.places[0].label)


@dataclass(frozen=True)
class Brought:
    """The name that the engine gave a file, and its size."""

    name: str
    size: int


def sources_of(places: Sequence[MediaPlace], attempt_id: str) -> list[Source]:
    """Each distinct value once for each folder it must be in; a folder of pictures has files of its own, in order."""
    shared: dict[tuple[str, str], list[MediaPlace]] = {}
    folders: dict[tuple[str, str], list[MediaPlace]] = {}
    for place in places:
        if place.kind is MediaKind.FOLDER:
            folders.setdefault((place.node_id, place.field), []).append(place)
        else:
            shared.setdefault((place.value, _base(place)), []).append(place)
    found = [
        Source(value, wanting, f"{attempt_id}_{index}", base)
        for index, ((value, base), wanting) in enumerate(shared.items())
    ]
    for index, items in enumerate(folders.values(), len(found)):
        folder = _joined(_base(items[0]), f"{attempt_id}_{index}")
        found += [Source(item.value, [item], f"{number:04d}", folder) for number, item in enumerate(items)]
    return found


def changes_of(
    sources: Sequence[Source], brought: Sequence[Brought], graph: Graph, engine: Engine
) -> dict[str, dict[str, Any]]:
    """The fields that name these files, with their new values."""
    changes: dict[str, dict[str, Any]] = {}
    names: dict[tuple[str, str], dict[str, str]] = {}
    for source, arrived in zip(sources, brought, strict=True):
        for place in source.places:
            inside = source.subfolder if place.kind is MediaKind.FOLDER else arrived.name
            named = _path(inside, engine) if place.by_path else inside
            names.setdefault((place.node_id, place.field), {})[place.value] = named
            if place.kind is MediaKind.FOLDER:
                changes.setdefault(place.node_id, {})[place.field] = named
    for (node_id, field), known in names.items():
        fields = changes.setdefault(node_id, {})
        fields.setdefault(field, renamed(graph.nodes[node_id].inputs[field], known))
    return changes


class Media:
    """Brings files by URL, data URI and asset."""

    def __init__(self, engine: Engine, blobs: Blobs, fetch: Fetch, limits: WorkLimits) -> None:
        self._engine = engine
        self._blobs = blobs
        self._fetch = fetch
        self._limits = limits

    async def bring(self, claim: Claim, source: Source, holding: Holding) -> Brought:
        """Upload one file. Every error has its place."""
        try:
            async with self._open(claim, source, holding) as (content, filename):
                head = await anext(content, b"")
                mime = _check_kind(head, source)
                counted = _Counted(head, content, self._limits.input_bytes, source.place)
                name = f"{source.stem}{_ending(mime, filename, source)}"
                holding.files.append(EngineFile(name, source.subfolder, INPUT))
                stored = await self._engine.upload(name, counted, subfolder=source.subfolder)
                return Brought(stored, counted.size)
        except EngineLost:
            raise
        except DomainError as error:
            error.place = source.place
            raise
        except OSError as error:
            raise StorageFailed(f"The storage did not give an input: {error.strerror}.", place=source.place) from error

    @asynccontextmanager
    async def _open(self, claim: Claim, source: Source, holding: Holding) -> AsyncIterator[tuple[ByteStream, str]]:
        """The content of a source, and the name that it has where it comes from."""
        asset_id = asset_of(source.value)
        if asset_id is None:
            async with self._fetched(claim, source, holding) as opened:
                yield opened
            return
        asset = claim.assets.get(asset_id)
        if asset is None:
            raise NotFound(f"The file {source.value} is not kept any more. Upload it again.")
        if asset.size > self._limits.input_bytes:
            raise TooLarge(f"The file {asset.filename} is larger than the limit of {self._limits.input_bytes} bytes.")
        async with self._blobs.open(asset.blob_key) as content:
            yield content, asset.filename

    @asynccontextmanager
    async def _fetched(self, claim: Claim, source: Source, holding: Holding) -> AsyncIterator[tuple[ByteStream, str]]:
        reports = holding.reports if is_url(source.value) else None
        on_bytes, arrived = reports.watch(source.places[0].label, source.value) if reports else (None, None)
        wanted: AbstractAsyncContextManager[Any] = self._fetch.fetch(
            source.value,
            purpose="input",
            limit=self._limits.input_bytes,
            credentials=claim.options.credentials,
            on_bytes=on_bytes,
        )
        async with wanted as fetched:
            if fetched.is_folder:
                raise InvalidInput(f"{source.places[0].label} is a repository; give the address of one file.")
            if arrived is not None and not fetched.cached:
                arrived(fetched)
            file = await asyncio.to_thread(fetched.path.open, "rb")
            with file:
                yield _read(file), fetched.filename


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
    while piece := await asyncio.to_thread(file.read, READ_BYTES):
        yield piece


def _check_kind(head: bytes, source: Source) -> str | None:
    mime = sniff_mime(head)
    for place in source.places:
        if not fits(place.kind, mime):
            found = mime or ("an empty file" if not head else "something else")
            raise InvalidInput(f"{place.label} needs {place.kind.words} data, but what was sent is {found}.")
    return mime


def _ending(mime: str | None, filename: str, source: Source) -> str:
    """The file ending that its first bytes say; for a kind that they do not show, and for a field that takes any file,
    the one that its name has."""
    own = PurePosixPath(filename).suffix.lower()
    named = own if ENDING.fullmatch(own) else ""
    if mime is None or (named and source.places[0].kind is MediaKind.FILE):
        return named or extension_of(mime)
    return extension_of(mime)


def _base(place: MediaPlace) -> str:
    """The folder among the inputs for files of this field."""
    if place.below is None:
        return SUBFOLDER
    return f"{place.below}/{SUBFOLDER}" if place.below else ""


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _path(name: str, engine: Engine) -> str:
    return engine.input_path(name) or f"{INPUT}/{name}"
