"""Patience with our storage: what an engine has computed is not thrown away because a bucket is down for a minute."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from comfyserve.core.errors import StorageFailed
from comfyserve.core.runs import Fact, FactKind
from comfyserve.work.collect.streams import waits
from comfyserve.work.limits import WorkLimits

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Patience:
    """For the outputs of one run. `note` is told, once, that our storage is waited for, and why."""

    def __init__(self, limits: WorkLimits, note: Callable[[Fact], None]) -> None:
        self._limits = limits
        self._note = note
        self._noted = False

    async def again(self, filename: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do something with our storage; one that fails is asked again with back-off, an engine that fails is not.

        Raises StorageFailed in the end, and what else `work` raises."""
        for wait in waits(self._limits.storage_tries, self._limits.storage_pause):
            try:
                return await work()
            except (OSError, StorageFailed) as error:
                reason = _reason(error)
                log.warning("storage_failed", filename=filename, error=reason, again_in=wait)
                if wait is None:
                    raise StorageFailed(f"The storage did not take {filename}: {reason}") from error
                self._tell(filename, reason)
                await asyncio.sleep(wait)
        raise StorageFailed(f"The storage was never asked to take {filename}.")

    def _tell(self, filename: str, reason: str) -> None:
        if not self._noted:
            self._noted = True
            message = f"The storage did not take {filename}: {reason} It is asked again."
            data = {"code": "storage_waits", "message": message, "details": {"filename": filename}}
            self._note(Fact(FactKind.WARNING, data))


def _reason(error: OSError | StorageFailed) -> str:
    if isinstance(error, StorageFailed):
        return error.message
    if isinstance(error, TimeoutError):
        return "it took nothing for too long."
    return f"{error.strerror}."
