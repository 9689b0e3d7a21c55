"""Copy what is safely stored to the caller's own target; our copies go when all of it is there."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from comfyserve.core.errors import DomainError, FetchRefused, InvalidInput, StorageFailed, TargetFailed
from comfyserve.core.gathering import gather
from comfyserve.core.runs import Fact, FactKind
from comfyserve.core.targets import TargetWish
from comfyserve.ports import Blobs, StoredOutput, Target, Targets
from comfyserve.work.collect.names import target_names
from comfyserve.work.collect.streams import patiently, waits
from comfyserve.work.limits import WorkLimits

log = structlog.get_logger(__name__)

NO_TARGETS = "This worker cannot write to a target of the caller's; its operator has to allow that."


@dataclass(frozen=True)
class Sent:
    """The outputs as they are now, why the target does not have them, and what has to be said."""

    outputs: Sequence[StoredOutput]
    error: DomainError | None = None
    facts: Sequence[Fact] = ()


class Addresses(dict[str, str]):
    """Where files went, by blob key; `superseded` are those of which a newer upload took the place."""

    def __init__(self) -> None:
        super().__init__()
        self.superseded: set[str] = set()


class Sending:
    """Sends the files of runs."""

    def __init__(self, blobs: Blobs, targets: Targets | None, limits: WorkLimits) -> None:
        self._blobs = blobs
        self._targets = targets
        self._limits = limits

    async def send(self, run_id: str, wish: TargetWish, outputs: Sequence[StoredOutput]) -> Sent:
        """The outputs with their addresses in the target, and why it failed for good, if it did.

        After a failure every output still is in our storage. An upload that a newer one to the same address stopped
        counts as done, with a warning. Raises StorageFailed: ours cannot be read.
        """
        files = [output for output in outputs if output.blob_key]
        first = wish.first if wish.names == "plain" else run_id
        names = target_names(first, [(output.subfolder, output.filename) for output in files])
        urls = Addresses()
        try:
            await self._put_in_time(wish, dict(zip(names, files, strict=True)), urls)
        except (TargetFailed, InvalidInput, FetchRefused) as error:
            log.warning("target_failed", run_id=run_id, error=error.message)
            return Sent([replace(output, url=urls.get(output.blob_key, "")) for output in outputs], error)
        facts = [_superseded(output.filename) for output in files if output.blob_key in urls.superseded]
        return Sent([await self._let_go(output, urls) for output in outputs], None, facts)

    async def _put_in_time(self, wish: TargetWish, files: dict[str, StoredOutput], urls: "Addresses") -> None:
        seconds = self._limits.collect
        try:
            async with asyncio.timeout(seconds or None):
                await self._put_all(wish, files, urls)
        except TimeoutError:
            raise TargetFailed(f"The target did not take all {len(files)} files within {seconds:g} s.") from None

    async def _put_all(self, wish: TargetWish, files: dict[str, StoredOutput], urls: "Addresses") -> None:
        """Fill `urls`, by blob key."""
        if self._targets is None:
            raise TargetFailed(NO_TARGETS)
        uploads = self._targets.uploads
        async with self._targets.open(wish) as target:
            gate = asyncio.Semaphore(target.at_once)

            async def put(name: str, output: StoredOutput) -> None:
                async with gate:
                    address = target.address(name)
                    told = await uploads.run((address, wish.auth), lambda: self._put(target, name, output))
                urls[output.blob_key] = told or address
                if told is None:
                    urls.superseded.add(output.blob_key)

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


def _superseded(filename: str) -> Fact:
    message = f"A newer run sent a file to the same address as {filename} before this one was there; that one is kept."
    return Fact(FactKind.WARNING, {"code": "upload_superseded", "message": message, "details": {"filename": filename}})
