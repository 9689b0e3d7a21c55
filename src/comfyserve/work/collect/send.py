"""Copy what is safely stored to the caller's own target; our copies go when all of it is there."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from comfyserve.core.errors import DomainError, FetchRefused, InvalidInput, StorageFailed, TargetFailed
from comfyserve.core.gathering import gather
from comfyserve.core.targets import TargetWish
from comfyserve.ports import Blobs, StoredOutput, Target, Targets
from comfyserve.work.collect.names import target_names
from comfyserve.work.collect.streams import patiently, waits
from comfyserve.work.limits import WorkLimits

log = structlog.get_logger(__name__)

NO_TARGETS = "This worker cannot write to a target of the caller's; its operator has to allow that."


class Sending:
    """Sends the files of runs."""

    def __init__(self, blobs: Blobs, targets: Targets | None, limits: WorkLimits) -> None:
        self._blobs = blobs
        self._targets = targets
        self._limits = limits

    async def send(
        self, run_id: str, wish: TargetWish, outputs: Sequence[StoredOutput]
    ) -> tuple[list[StoredOutput], DomainError | None]:
        """The outputs with their addresses in the target, and why it failed for good, if it did.

        After a failure every output still is in our storage. Raises StorageFailed: ours cannot be read.
        """
        files = [output for output in outputs if output.blob_key]
        names = target_names(run_id, [(output.subfolder, output.filename) for output in files])
        urls: dict[str, str] = {}
        try:
            await self._put_in_time(wish, dict(zip(names, files, strict=True)), urls)
        except (TargetFailed, InvalidInput, FetchRefused) as error:
            log.warning("target_failed", run_id=run_id, error=error.message)
            return [replace(output, url=urls.get(output.blob_key, "")) for output in outputs], error
        return [await self._let_go(output, urls) for output in outputs], None

    async def _put_in_time(self, wish: TargetWish, files: dict[str, StoredOutput], urls: dict[str, str]) -> None:
        seconds = self._limits.collect
        try:
            async with asyncio.timeout(seconds or None):
                await self._put_all(wish, files, urls)
        except TimeoutError:
            raise TargetFailed(f"The target did not take all {len(files)} files within {seconds:g} s.") from None

    async def _put_all(self, wish: TargetWish, files: dict[str, StoredOutput], urls: dict[str, str]) -> None:
        """Fill `urls`, by blob key."""
        if self._targets is None:
            raise TargetFailed(NO_TARGETS)
        async with self._targets.open(wish) as target:
            gate = asyncio.Semaphore(target.at_once)

            async def put(name: str, output: StoredOutput) -> None:
                async with gate:
                    urls[output.blob_key] = await self._put(target, name, output)

            await gather(put(name, output) for name, output in files.items())

    async def _put(self, target: Target, name: str, output: StoredOutput) -> str:
        """One file, again with back-off for as long as another try may help."""
        for wait in waits(self._limits.target_tries, self._limits.storage_pause):
            try:
                return await self._put_once(target, name, output)
            except TargetFailed as error:
                if not error.retryable or wait is None:
                    raise
                log.info("target_asked_again", name=name, error=error.message, again_in=wait)
                await asyncio.sleep(wait)
        raise TargetFailed(f"The target was never asked to take {name}.")

    async def _put_once(self, target: Target, name: str, output: StoredOutput) -> str:
        async with self._blobs.open(output.blob_key) as content:
            try:
                return await patiently(
                    lambda stream: target.put(name, stream, size=output.size, mime=output.mime),
                    content,
                    self._limits.storage,
                )
            except TimeoutError as error:
                sentence = f"The target took nothing of {name} for {self._limits.storage:g} s."
                raise TargetFailed(sentence, retryable=True) from error

    async def _let_go(self, output: StoredOutput, urls: dict[str, str]) -> StoredOutput:
        """Drop our copy; one that stays is kept with the run, and goes with it."""
        if not output.blob_key:
            return output
        sent = replace(output, url=urls[output.blob_key])
        try:
            await self._blobs.delete(output.blob_key)
        except StorageFailed as error:
            log.warning("copy_kept", key=output.blob_key, error=error.message)
            return sent
        return replace(sent, blob_key="")
