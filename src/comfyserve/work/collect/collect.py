"""Stream every output of an attempt from its engine to blobs, converted if asked, and on to the caller's target."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import structlog

from comfyserve.core.conversion import Conversion
from comfyserve.core.errors import ClockRanOut, DomainError, InvalidGraph
from comfyserve.core.gathering import gather
from comfyserve.core.media import UNKNOWN_TYPE, type_of
from comfyserve.core.outputs import NodeOutput
from comfyserve.core.runs import Fact, FactKind
from comfyserve.ports import Blobs, ByteStream, Claim, Engine, StoredBlob, StoredOutput, Targets
from comfyserve.work.collect.convert import Converter, NotConverted
from comfyserve.work.collect.names import ending, file_name, with_ending
from comfyserve.work.collect.patience import Patience
from comfyserve.work.collect.send import Sending
from comfyserve.work.collect.streams import patiently, read_file, write_file
from comfyserve.work.limits import WorkLimits
from comfyserve.work.stage.own import names_input, without_prefix

log = structlog.get_logger(__name__)

T = TypeVar("T")
Open = Callable[[], AbstractAsyncContextManager[ByteStream]]

FILES_AT_ONCE = 4


@dataclass(frozen=True)
class Collected:
    """The outputs of a run, in stable order, what has to be said about them, and why the caller's target does not have
    them, if it failed: the run fails then, and the outputs are in our storage."""

    outputs: Sequence[StoredOutput]
    facts: Sequence[Fact] = ()
    error: DomainError | None = None


class Collect:
    """Stores files as they are, or converted; values such as texts are kept as values."""

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        limits: WorkLimits,
        *,
        converter: Converter | None = None,
        targets: Targets | None = None,
    ) -> None:
        """Without a `converter` no picture is converted; without `targets` a run that wishes for one fails."""
        self._engine = engine
        self._blobs = blobs
        self._limits = limits
        self._converter = converter
        self._sending = Sending(blobs, targets, limits)

    async def collect(
        self,
        claim: Claim,
        outputs: Sequence[NodeOutput],
        note: Callable[[Fact], None] = lambda fact: None,
        *,
        on_stored: Callable[[], None] = lambda: None,
    ) -> Collected:
        """Everything in the order of the graph's nodes, for an engine's own order changes from one start to the next.
        `note` is told, once, that our storage is waited for; `on_stored` is called before they go to a target.

        Raises EngineLost, EngineError (a file is gone), TooLarge, InvalidGraph (too many), StorageFailed, ClockRanOut
        (our storage had no time for all)."""
        if len(outputs) > self._limits.outputs:
            raise InvalidGraph(
                f"The run gave {len(outputs)} outputs; at most {self._limits.outputs} are kept. Use smaller batches."
            )
        try:
            async with asyncio.timeout(self._limits.collect or None):
                stored, facts = await self._stored(claim, outputs, note)
        except TimeoutError:
            raise ClockRanOut("collect", self._limits.collect) from None
        if claim.options.target is None:
            return Collected(stored, facts)
        on_stored()
        sent = await self._sending.send(claim.run.id, claim.options.target, stored)
        return Collected(sent.outputs, [*facts, *sent.facts], sent.error)

    async def _stored(
        self, claim: Claim, outputs: Sequence[NodeOutput], note: Callable[[Fact], None]
    ) -> tuple[list[StoredOutput], list[Fact]]:
        gate = asyncio.Semaphore(FILES_AT_ONCE)
        position = {node_id: number for number, node_id in enumerate(claim.graph.nodes)}
        lasting = [output for output in outputs if not names_input(output.value, claim.attempt_id)]
        ordered = sorted(lasting, key=lambda output: position.get(_node_id(output), len(position)))
        patience = Patience(self._limits, note)
        kept = await gather(self._keep(claim, output, index, gate, patience) for index, output in enumerate(ordered))
        stored, facts = _within([output for output, _ in kept], self._limits)
        return stored, facts + [_left_as_it_is(output, reason) for output, reason in kept if reason]

    async def _keep(
        self, claim: Claim, output: NodeOutput, index: int, gate: asyncio.Semaphore, patience: Patience
    ) -> tuple[StoredOutput, str]:
        """The output as it is stored, and why it was not converted although that was asked for."""
        node = claim.graph.nodes.get(_node_id(output))
        kept = StoredOutput(output.node_id, node.class_type if node else "", output.key, output.index)
        file = output.file
        if file is None:
            return replace(kept, value=output.value), ""
        shown = without_prefix(file, claim.attempt_id)
        kept = replace(kept, filename=file_name(shown), subfolder=shown.subfolder, type=shown.type)
        folder = f"runs/{claim.run.id}/{claim.attempt_id}/{index}"
        async with gate:
            if claim.options.convert is not None and (type_of(kept.filename) or "").startswith("image/"):
                convert = claim.options.convert
                return await self._store_converted(
                    kept, folder, lambda: self._engine.open(file), convert, patience, whose=claim.run.key_id
                )
            return await self._store(kept, folder, lambda: self._engine.open(file), patience), ""

    async def _store(self, kept: StoredOutput, key: str, source: Open, patience: Patience) -> StoredOutput:
        """Copy one file to our storage under the key and the file's ending."""
        key += ending(kept.filename)

        async def put() -> StoredBlob:
            async with source() as content:
                return await patiently(
                    lambda stream: self._blobs.put(
                        key, stream, limit=self._limits.output_bytes, mime=mime, filename=kept.filename
                    ),
                    content,
                    self._limits.storage,
                )

        mime = type_of(kept.filename) or UNKNOWN_TYPE
        stored = await patience.again(kept.filename, put)
        return replace(kept, blob_key=key, mime=mime, size=stored.size, sha256=stored.sha256)

    async def _store_converted(
        self, kept: StoredOutput, key: str, source: Open, conversion: Conversion, patience: Patience, *, whose: str
    ) -> tuple[StoredOutput, str]:
        """Fetch one picture to our disk, convert it there, and store what came of it, or else the picture itself."""
        if self._converter is None:
            return await self._store(kept, key, source, patience), "this worker converts nothing"
        async with _scratch(self._converter.folder) as folder:
            original, made = folder / f"original{ending(kept.filename)}", folder / f"made.{conversion.format}"

            async def fetch() -> None:
                async with source() as content:
                    await write_file(original, content, self._limits.output_bytes)

            await patience.again(kept.filename, fetch)
            try:
                await self._converter.convert(original, made, conversion, whose)
            except NotConverted as error:
                log.warning("not_converted", filename=kept.filename, error=str(error))
                return await self._store(kept, key, lambda: read_file(original), patience), str(error)
            kept = replace(kept, filename=with_ending(kept.filename, conversion.format))
            return await self._store(kept, key, lambda: read_file(made), patience), ""


@asynccontextmanager
async def _scratch(parent: Path) -> AsyncIterator[Path]:
    """A folder of its own until the context is left. Files in it may be large, so that it is removed in a thread."""
    folder = parent / uuid.uuid4().hex
    try:
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _node_id(output: NodeOutput) -> str:
    """The node of the graph that gave it; one that expands into others names them after itself: 7.0.0.2."""
    return output.node_id.split(".")[0]


def _within(outputs: Sequence[StoredOutput], limits: WorkLimits) -> tuple[list[StoredOutput], list[Fact]]:
    """The outputs with their texts cut to what is kept of one, and of all, and a warning when one was cut."""
    left, bounded, cut = limits.values_chars, [], False
    for output in outputs:
        value: Any = output.value
        if isinstance(value, str):
            value = value[: min(limits.value_chars, left)]
            left -= len(value)
            cut = cut or len(value) < len(output.value)
        bounded.append(replace(output, value=value))
    message = f"A text is longer than what is kept: {limits.value_chars} characters, {limits.values_chars} in a run."
    return bounded, [_warning("text_cut", message)] if cut else []


def _left_as_it_is(output: StoredOutput, reason: str) -> Fact:
    return _warning(
        "not_converted",
        f"{output.filename} is stored as it is: {reason}.",
        {"node_id": output.node_id, "filename": output.filename},
    )


def _warning(code: str, message: str, details: dict[str, Any] | None = None) -> Fact:
    return Fact(FactKind.WARNING, {"code": code, "message": message, "details": details or {}})
