"""The warm-up of solo: a graph that is run at each start of the engine; its outputs are thrown away."""

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from comfyserve.core.errors import DomainError, InvalidInput, QueueFull
from comfyserve.core.graph import parse_graph
from comfyserve.core.limits import MOST_PRIORITY
from comfyserve.core.runs import Status
from comfyserve.db import runs
from comfyserve.db.database import Database
from comfyserve.ports import Fetch
from comfyserve.services.cancel import Cancel
from comfyserve.services.records import Caller, RunView, SubmitRequest
from comfyserve.services.submit import Submit
from comfyserve.services.sweep import Sweep
from comfyserve.services.watch import Watch

MAX_GRAPH = 16 * 1024 * 1024
CHECKPOINT_LOADER = "CheckpointLoaderSimple"
FOR_EVER = float("inf")

ORIGIN = "warm-up"
"""What runs of this kind are told by."""

MOST_LEFT = 100

Graph = Mapping[str, Any]


def read_graph(text: str, source: str) -> Graph:
    """A graph in the API form. Raises InvalidInput, which names the source."""
    try:
        graph = json.loads(text)
        parse_graph(graph)
    except ValueError as error:
        raise InvalidInput(f"The warm-up {source} is no JSON: {error}.") from None
    except DomainError as error:
        raise InvalidInput(f"The warm-up {source} is no graph: {error.message}") from None
    return dict(graph)


async def warmup_graph(file: str, url: str, fetch: Fetch) -> Graph | None:
    """The graph of the file, or else of the address; None when neither is named. Raises InvalidInput, FetchRefused,
    FetchFailed, TooLarge."""
    if file:
        return read_graph(await asyncio.to_thread(Path(file).read_text, encoding="utf-8"), file)
    if not url:
        return None
    async with fetch.fetch(url, limit=MAX_GRAPH) as fetched:
        return read_graph(await asyncio.to_thread(fetched.path.read_text, encoding="utf-8", errors="replace"), "URL")


def checkpoint_of(graph: Graph | None) -> str | None:
    """The checkpoint that the first loader of a graph names."""
    nodes = (node for node in (graph or {}).values() if isinstance(node, dict))
    loaders = (node for node in nodes if node.get("class_type") == CHECKPOINT_LOADER)
    name = next((loader.get("inputs", {}).get("ckpt_name") for loader in loaders), None)
    return name if isinstance(name, str) else None


class WarmUp:
    """Runs the graph before everything that waits, once for each start of an engine. Any engine that is free may take
    such a run: which one it warms is not said."""

    def __init__(self, graph: Graph, caller: Caller, *, submit: Submit, watch: Watch, sweep: Sweep) -> None:
        self.graph = graph
        self._caller = caller
        self._submit = submit
        self._watch = watch
        self._sweep = sweep

    async def run(self, times: int = 1) -> str:
        """Return when it has run; why it failed, or nothing."""
        queued, problem = await self._queued(times)
        ended = [await self._watch.wait(self._caller, run.id, FOR_EVER) for run in queued]
        await self._sweep.remove([run.id for run in ended])
        bad = next((run for run in ended if run.status is not Status.SUCCESS), None)
        return problem if bad is None else str((bad.error or {}).get("message") or f"It ended as {bad.status}.")

    async def _queued(self, times: int) -> tuple[list[RunView], str]:
        """The runs that wait now, and why there are not more of them."""
        wish = SubmitRequest(graph=self.graph, dialect="stateless", origin=ORIGIN, priority=MOST_PRIORITY)
        queued: list[RunView] = []
        try:
            for _ in range(times):
                queued.append(await self._submit.submit(self._caller, wish))
        except QueueFull:
            return queued, ""  # what waits from before warms it as well
        except DomainError as error:
            return queued, error.message
        return queued, ""


async def forget_warm_ups(db: Database, caller: Caller, cancel: Cancel, sweep: Sweep) -> int:
    """Take away what a solo that was killed had queued to warm itself; how many runs. Call it before work begins."""
    find = partial(
        runs.page, workspace_id=caller.workspace_id, filters={"origin": ORIGIN}, before=None, limit=MOST_LEFT
    )
    left = [row["id"] for row in await db.read(find)]
    for run_id in left:
        await cancel.cancel(caller, run_id)
    return await sweep.remove(left)
