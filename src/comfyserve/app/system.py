"""What tells the operator's own services how it goes: system events, and SaladCloud's deletion cost."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from comfyserve.app.base import Base, new_id, now
from comfyserve.fetch.forward import proxies_of
from comfyserve.fetch.operator import put_to, sender_to
from comfyserve.fetch.sender import HttpSender
from comfyserve.ports import TellSystem
from comfyserve.services.deliver import TRIES
from comfyserve.services.depth import Depth
from comfyserve.services.salad import METADATA_URL, DeletionCost, is_on_salad, system_metadata
from comfyserve.services.system_events import SystemEvents, SystemOptions

LAST_SECONDS = 5.0
"""How long a stop waits for system events that are on their way."""

SALAD_SECONDS = 5.0


@dataclass(frozen=True)
class System:
    """Built and not started yet. `tell` is None where nobody wants to hear of anything, which then costs nothing."""

    depth: Depth
    events: SystemEvents | None
    cost: DeletionCost | None
    senders: tuple[HttpSender, ...]

    @property
    def tell(self) -> TellSystem | None:
        """Takes system events."""
        return None if self.events is None else self.events.tell

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """At work; at the end events that wait get a few seconds."""
        tasks = [asyncio.create_task(work) for work in self._standing_work()]
        try:
            yield
        finally:
            if self.events is not None:
                await self.events.close(LAST_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for sender in self.senders:
                await sender.close()

    def _standing_work(self) -> list[Coroutine[Any, Any, None]]:
        if self.events is None and self.cost is None:
            return []
        return [self.depth.run(), *([self.cost.run()] if self.cost is not None else [])]


def build_system(
    base: Base,
    *,
    url: str,
    events: frozenset[str],
    environment: Mapping[str, str],
    key: bytes = b"",
    tries: int = TRIES,
    metadata_url: str = METADATA_URL,
) -> System:
    """`url` and `events`: where system events go, and which; `environment` has the metadata, and tells whether this is
    SaladCloud. Build it in a loop, before the engines, which get its `tell`."""
    depth = Depth(base.db, base.bell)
    senders: list[HttpSender] = []
    told = cost = None
    if url and events:
        senders.append(sender_to(url, proxies=proxies_of(environment)))
        told = SystemEvents(
            senders[-1],
            SystemOptions(url, events, system_metadata(environment), key, tries),
            request_ids=base.request_ids,
            depth=lambda: depth.value,
            clock=now,
            ids=new_id,
        )
    if is_on_salad(environment):
        senders.append(sender_to(metadata_url, answer_seconds=SALAD_SECONDS))
        cost = DeletionCost(partial(put_to, senders[-1]), depth, url=metadata_url)
    return System(depth, told, cost, tuple(senders))
