"""Small real stand-ins that run the same conformance suites as the adapters; users may use them, too."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from comfyserve.core.errors import Conflict, DomainError, EngineError, InvalidInput, NotFound, TooLarge
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.ports import ByteStream, EngineEvent, NodeFinished, OfferedModel, Outcome, StoredBlob

CHUNK_BYTES = 256 * 1024
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")
MAX_KEY = 512


class MemoryBlobs:
    """Blobs in a dictionary. `links` is the address at which it pretends to serve them itself; empty: it does not."""

    def __init__(self, links: str = "") -> None:
        self.files: dict[str, bytes] = {}
        self.links = links

    async def put(
        self, key: str, content: ByteStream, *, limit: int | None = None, mime: str = "", filename: str = ""
    ) -> StoredBlob:
        """Keep a stream. Raises TooLarge."""
        _check(key)
        data = bytearray()
        async for chunk in content:
            data += chunk
            if limit is not None and len(data) > limit:
                raise TooLarge(f"The file is larger than the {limit} bytes that are allowed.")
        self.files[key] = bytes(data)
        return StoredBlob(key, len(data), hashlib.sha256(data).hexdigest())

    @asynccontextmanager
    async def open(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[ByteStream]:
        """Read a blob or a range of it. Raises NotFound."""
        data = self._find(key)
        yield _chunks(data[start:] if length is None else data[start : start + length])

    async def size(self, key: str) -> int:
        """Its size in bytes. Raises NotFound."""
        return len(self._find(key))

    async def delete(self, key: str) -> None:
        """Remove it."""
        _check(key)
        self.files.pop(key, None)

    async def delete_below(self, folder: str, *, keep: Collection[str] = ()) -> None:
        """Remove what is below a folder, but for `keep`."""
        _check(folder)
        for key in [key for key in self.files if key.startswith(f"{folder}/") and key not in keep]:
            del self.files[key]

    async def presigned(self, key: str, seconds: int) -> str | None:
        """An address below `links`, where there is one."""
        _check(key)
        return f"{self.links}/{key}?seconds={seconds}" if self.links else None

    async def close(self) -> None:
        """Nothing to let go of."""

    def _find(self, key: str) -> bytes:
        _check(key)
        if key not in self.files:
            raise NotFound(f"There is no blob {key}.")
        return self.files[key]


class Hold:
    """A step of a script at which the prompt waits until somebody releases or interrupts it."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let the prompt go on."""
        self._released.set()

    async def wait(self) -> None:
        """Be held."""
        self.reached.set()
        await self._released.wait()


Step = EngineEvent | DomainError | Hold
Script = Callable[[str, Mapping[str, Any]], Sequence[Step]]


class ScriptedEngine:
    """An Engine that tells a script: a list of steps for every prompt, or a function of prompt id and graph.

    An EngineError as the first step refuses the graph; any other error is raised while the events are read. When the
    script names no Outcome, a success with the outputs of its NodeFinished events follows. `content` holds the files.
    """

    def __init__(self, script: Sequence[Step] | Script, *, object_info: Mapping[str, Any] | None = None) -> None:
        self.submitted: list[tuple[str, Mapping[str, Any]]] = []
        self.interrupted: set[str] = set()
        self.forgotten: list[str] = []
        self.restarts: list[str] = []
        self.uploads: dict[str, bytes] = {}
        self.models: dict[str, dict[str, Path]] = {kind: {} for kind in ("checkpoints", "loras", "vae")}
        self.content: dict[EngineFile, bytes] = {}
        self.closed = False
        self._script = script
        self._object_info = object_info or {}
        self._in_flight: dict[str, asyncio.Event] = {}

    async def ready(self) -> None:
        """At once."""

    async def object_info(self) -> Mapping[str, Any]:
        """What the constructor was given."""
        return self._object_info

    async def upload(self, name: str, content: ByteStream, *, subfolder: str = "") -> str:
        """Keep the file in `uploads`."""
        path = f"{subfolder}/{name}" if subfolder else name
        self.uploads[path] = b"".join([chunk async for chunk in content])
        return path

    async def model_folders(self) -> Mapping[str, Sequence[str]]:
        """The kinds of `models` with the names under which they were offered."""
        return {kind: sorted(files) for kind, files in self.models.items()}

    async def add_model(self, folder: str, name: str, path: Path, *, exact: bool = False) -> OfferedModel:
        """Keep where it lies in `models`. Raises EngineError for a kind that is not there, Conflict for another file
        that has the `exact` name."""
        if folder not in self.models:
            raise EngineError(f"The engine has no models of the kind {folder!r}.")
        if exact and self.models[folder].get(name, path) != path:
            raise Conflict(f"Another file has the name {name}.")
        self.models[folder][name] = path
        return OfferedModel(name)

    def input_path(self, name: str) -> str | None:
        """Below a folder that is nowhere."""
        return f"/input/{name}"

    @asynccontextmanager
    async def execute(
        self, prompt_id: str, graph: Mapping[str, Any], extra_data: Mapping[str, Any]
    ) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """Tell the script."""
        steps = list(self._script(prompt_id, graph) if callable(self._script) else self._script)
        if steps and isinstance(steps[0], EngineError):
            raise steps[0]
        self.submitted.append((prompt_id, graph))
        self._in_flight[prompt_id] = asyncio.Event()
        try:
            yield self._tell(prompt_id, steps)
        finally:
            del self._in_flight[prompt_id]

    async def interrupt(self, prompt_id: str) -> bool:
        """End this prompt at its present or next Hold; whether it is in flight."""
        if (flag := self._in_flight.get(prompt_id)) is None:
            return False
        self.interrupted.add(prompt_id)
        flag.set()
        return True

    @asynccontextmanager
    async def open(self, file: EngineFile) -> AsyncIterator[ByteStream]:
        """Stream from `content`."""
        if file not in self.content:
            raise EngineError(f"The engine does not give the file {file.filename}.")
        yield _chunks(self.content[file])

    async def forget(self, prompt_ids: Sequence[str], files: Sequence[EngineFile]) -> None:
        """Note the prompts and drop the files."""
        self.forgotten.extend(prompt_ids)
        for file in files:
            self.content.pop(file, None)

    async def restart(self, reason: str) -> None:
        """Note the reason."""
        self.restarts.append(reason)

    async def close(self) -> None:
        """Note it."""
        self.closed = True

    async def _tell(self, prompt_id: str, steps: Sequence[Step]) -> AsyncIterator[EngineEvent]:
        outputs: list[NodeOutput] = []
        for step in steps:
            if isinstance(step, DomainError):
                raise step
            if isinstance(step, Hold):
                if await self._held(prompt_id, step):
                    yield Outcome("interrupted", tuple(outputs))
                    return
                continue
            if isinstance(step, NodeFinished):
                outputs.extend(step.outputs)
            yield step
            if isinstance(step, Outcome):
                return
        yield Outcome("success", tuple(outputs))

    async def _held(self, prompt_id: str, hold: Hold) -> bool:
        """Whether the prompt was interrupted while it was held."""
        flag = self._in_flight[prompt_id]
        waits = {asyncio.create_task(hold.wait()), asyncio.create_task(flag.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return flag.is_set()


class StepClock:
    """A clock that goes only when told: `clock()` is the time, `clock.step(5)` makes five seconds pass."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def step(self, seconds: float) -> datetime:
        """Let seconds pass; the answer is the new time."""
        self._now += timedelta(seconds=seconds)
        return self._now


async def _chunks(data: bytes) -> ByteStream:
    for at in range(0, len(data), CHUNK_BYTES):
        yield data[at : at + CHUNK_BYTES]


def _check(key: str) -> None:
    parts = key.split("/")
    if len(key) > MAX_KEY or not KEY_CHARACTERS.issuperset(key) or any(not part or part[0] == "." for part in parts):
        raise InvalidInput(f"{key[:80]!r} is not a blob key.")
