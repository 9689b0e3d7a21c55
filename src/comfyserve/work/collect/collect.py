"""Stream every output of an attempt from its engine to blobs."""

import asyncio
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import structlog

from comfyserve.core.errors import InvalidGraph, StorageFailed
from comfyserve.core.media import UNKNOWN_TYPE, type_of
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.ports import Blobs, Claim, Engine, StoredBlob, StoredOutput
from comfyserve.work.gathering import gather
from comfyserve.work.limits import WorkLimits
from comfyserve.work.stage.own import without_prefix

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.5
FILES_AT_ONCE = 4


class Collect:
    """Stores files as they are; values such as texts are kept as values."""

    def __init__(self, engine: Engine, blobs: Blobs, limits: WorkLimits) -> None:
        self._engine = engine
        self._blobs = blobs
        self._limits = limits

    async def collect(self, claim: Claim, outputs: Sequence[NodeOutput]) -> list[StoredOutput]:
        """Everything in the order of the graph's nodes, for an engine's own order changes from one start to the next.

        Raises EngineLost, EngineError (a file is gone), StorageFull."""
        if len(outputs) > self._limits.outputs:
            raise InvalidGraph(
                f"The run gave {len(outputs)} outputs; at most {self._limits.outputs} are kept. Use smaller batches."
            )
        gate = asyncio.Semaphore(FILES_AT_ONCE)
        position = {node_id: number for number, node_id in enumerate(claim.graph.nodes)}
        ordered = sorted(outputs, key=lambda output: position.get(_node_id(output), len(position)))
        return await gather(self._store(claim, output, index, gate) for index, output in enumerate(ordered))

    async def _store(self, claim: Claim, output: NodeOutput, index: int, gate: asyncio.Semaphore) -> StoredOutput:
        node = claim.graph.nodes.get(_node_id(output))
        class_type = node.class_type if node else ""
        if output.file is None:
            return StoredOutput(output.node_id, class_type, output.key, output.index, value=self._bounded(output.value))
        shown = without_prefix(output.file, claim.attempt_id)
        key = f"runs/{claim.run.id}/{claim.attempt_id}/{index}{_ending(shown.filename)}"
        async with gate:
            stored = await self._stream(output.file, key)
        return StoredOutput(
            output.node_id,
            class_type,
            output.key,
            output.index,
            filename=PurePosixPath(shown.filename).name,
            subfolder=shown.subfolder,
            type=shown.type,
            blob_key=key,
            mime=type_of(shown.filename) or UNKNOWN_TYPE,
            size=stored.size,
            sha256=stored.sha256,
        )

    async def _stream(self, file: EngineFile, key: str) -> StoredBlob:
        """Copy one file; storage that fails is asked again with back-off, an engine that fails is not."""
        for wait in [*self._waits(), None]:
            try:
                async with self._engine.open(file) as content:
                    return await self._blobs.put(key, content, limit=self._limits.output_bytes)
            except (OSError, StorageFailed) as error:
                log.warning("storage_failed", key=key, error=str(error), again_in=wait)
                if wait is None:
                    raise StorageFailed(f"The storage did not take {file.filename}: {_reason(error)}") from error
                await asyncio.sleep(wait)
        raise StorageFailed(f"The storage did not take {file.filename}.")

    def _waits(self) -> list[float]:
        return [FIRST_RETRY_SECONDS * 2**index for index in range(self._limits.storage_tries - 1)]

    def _bounded(self, value: Any) -> Any:
        return value[: self._limits.value_chars] if isinstance(value, str) else value


def _node_id(output: NodeOutput) -> str:
    """The node of the graph that gave it; one that expands into others names them after itself: 7.0.0.2."""
    return output.node_id.split(".")[0]


def _reason(error: OSError | StorageFailed) -> str:
    return error.message if isinstance(error, StorageFailed) else f"{error.strerror}."


def _ending(filename: str) -> str:
    """The file's ending, when it is a plain one; a key holds nothing else of a name that an engine chose."""
    suffix = PurePosixPath(filename).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 8 else ""
