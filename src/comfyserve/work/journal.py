"""The facts of one run on their way to the ledger: in order, grouped, never on the engine's path."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from comfyserve.core.errors import Stale
from comfyserve.core.runs import Fact, FactKind, Run
from comfyserve.ports import Claim, Ledger, StoredOutput

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
GROUP_SECONDS = 0.03
"""How long a fact waits for others to share its write: the facts of a quick run go with its end."""


class Journal:
    """Records what happens to a claimed run. Facts that arrive while a write is under way share the next one."""

    def __init__(self, ledger: Ledger, claim: Claim, patience: float) -> None:
        """`patience`: seconds of failed writes after which the error is raised; a lease is as long."""
        self._ledger = ledger
        self._claim = claim
        self._patience = patience
        self._pending: list[tuple[Fact, float]] = []
        self._writer: asyncio.Task[None] | None = None
        self._started = False
        self._ending = asyncio.Event()
        self.stale = asyncio.Event()

    @property
    def started(self) -> bool:
        """Whether the engine was seen to execute this attempt."""
        return self._started

    def note(self, fact: Fact) -> None:
        """Record a fact soon; returns at once. Whether we are stale shows in `stale`."""
        self._started = self._started or fact.kind is FactKind.STARTED
        self._pending.append(_now(fact))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_pending())

    async def finish(self, facts: Sequence[Fact], outputs: Sequence[StoredOutput] = ()) -> Run:
        """Record the last facts, after all noted ones. Raises Stale when the run is not ours any more."""
        self._ending.set()
        if self._writer is not None:
            await asyncio.wait({self._writer})  # it goes on when we are cancelled
        if self.stale.is_set():
            raise Stale(f"Run {self._claim.run.id} is not ours any more.")
        pending, self._pending = self._pending, []
        try:
            return await self._apply([*pending, *map(_now, facts)], outputs)
        except asyncio.CancelledError:
            self._pending = pending  # for the end that is recorded instead; a write that came through makes it stale
            raise

    async def _write_pending(self) -> None:
        while self._pending and not self.stale.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(GROUP_SECONDS):
                    await self._ending.wait()
            if self._ending.is_set():
                return
            facts, self._pending = self._pending, []
            try:
                await self._apply(facts)
            except Exception as error:
                if not isinstance(error, Stale):
                    log.error("run_abandoned", run_id=self._claim.run.id, error=repr(error))
                self.stale.set()

    async def _apply(self, facts: Sequence[tuple[Fact, float]], outputs: Sequence[StoredOutput] = ()) -> Run:
        """Apply, and again for as long as our patience lasts while the ledger cannot be reached."""
        now = asyncio.get_running_loop().time
        give_up = now() + self._patience
        while True:
            aged = [replace(fact, age=now() - happened) for fact, happened in facts]
            try:
                return await self._ledger.apply(self._claim.run.id, self._claim.lease.token, aged, outputs)
            except Stale:
                raise
            except Exception:
                log.exception("ledger_write_failed", run_id=self._claim.run.id)
                if now() > give_up:
                    raise
            await asyncio.sleep(RETRY_SECONDS)


def _now(fact: Fact) -> tuple[Fact, float]:
    """A fact, with the moment at which it happened."""
    return fact, asyncio.get_running_loop().time()
