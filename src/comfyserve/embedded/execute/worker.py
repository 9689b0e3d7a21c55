"""The one thread in which nodes run: takes prompts from the queue, executes them, writes the history."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from comfyserve.embedded.cache.results import ResultCache
from comfyserve.embedded.context import EngineSettings, NodeContext
from comfyserve.embedded.events.sockets import Hub, text_message
from comfyserve.embedded.execute.announce import Announcer
from comfyserve.embedded.execute.execution import Execution, Outcome
from comfyserve.embedded.execute.node_call import NodeObjects
from comfyserve.embedded.faults.playing import Faults
from comfyserve.embedded.faults.table import Kind
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.graph.dynamic_prompt import DynamicPrompt
from comfyserve.embedded.graph.graph_view import GraphView
from comfyserve.embedded.prompts.history import History
from comfyserve.embedded.prompts.queue import PromptQueue, QueuedPrompt
from comfyserve.embedded.settings import ServerSettings
from comfyserve.protocol.messages import Event

logger = logging.getLogger(__name__)


class Worker:
    """Executes one prompt at a time. A stuck node cannot hold up the end of the process: the thread is a daemon."""

    def __init__(
        self,
        queue: PromptQueue,
        history: History,
        hub: Hub,
        folders: Folders,
        catalogue: Catalogue,
        settings: EngineSettings,
        server: ServerSettings,
        faults: Faults,
    ) -> None:
        self._queue = queue
        self._history = history
        self._hub = hub
        self._folders = folders
        self._catalogue = catalogue
        self._settings = settings
        self._work_seconds = server.work_ms / 1000
        self._expanded_nodes = server.expanded_nodes
        self._faults = faults
        self._cache = ResultCache(server.cache)
        self._objects = NodeObjects()
        self._speaking: tuple[QueuedPrompt, Announcer] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="nodes", daemon=True)
        hub.greet = self.greeting

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Interrupt what runs and wait; False when the thread did not end in time."""
        self._queue.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def status(self) -> dict[str, Any]:
        """The data of a `status` event."""
        return {"status": {"exec_info": {"queue_remaining": self._queue.remaining()}}}

    def announce_status(self) -> None:
        """Tell everybody how long the queue is."""
        self._hub.send(Event.STATUS, self.status())

    def greeting(self, client_id: str) -> list[str]:
        """The first frames of a connection: the status, and the running node if it is this client's prompt."""
        frames = [text_message(Event.STATUS, {**self.status(), "sid": client_id})]
        speaking = self._speaking
        if speaking is not None and speaking[0].client_id == client_id and speaking[1].last_node is not None:
            frames.append(text_message(Event.EXECUTING, {"node": speaking[1].last_node}))
        return frames

    async def _work(self) -> None:
        while not self._queue.stopped:
            prompt = self._queue.take()
            if self._queue.take_free_wish():
                self._cache.clear()
                self._objects.clear()
            if prompt is not None:
                await self._survive(prompt)

    async def _survive(self, prompt: QueuedPrompt) -> None:
        """A bug, ours or a node's, may cost a prompt, never the thread that all prompts need."""
        try:
            await self._run(prompt)
        except BaseException:
            logger.exception("prompt was lost", extra={"prompt_id": prompt.prompt_id})
            self._faults.end_prompt()
            self._queue.finish()
            self._speaking = None
            self.announce_status()

    async def _run(self, prompt: QueuedPrompt) -> None:
        self.announce_status()
        view = GraphView(prompt.graph, self._catalogue, self._expanded_nodes)
        announcer = Announcer(self._hub, prompt, view.nodes, self._settings.preview_size)
        self._speaking = (prompt, announcer)
        context = NodeContext(
            self._folders, prompt.prompt_id, "", self._settings, announcer, self._queue.interrupted, self._faults
        )
        execution = Execution(prompt, view, self._cache, self._objects, announcer, context)
        if self._work_seconds:
            self._queue.interrupted.wait(self._work_seconds)
        outcome = await execution.run()
        late = self._faults.seconds(Kind.LATE_HISTORY)
        self._faults.end_prompt()
        record = _record(prompt, execution.outputs, view.nodes, announcer, outcome)
        told = len(json.dumps([record["outputs"], record["status"]], default=str))
        if not late:
            self._history.add(prompt.prompt_id, record, prompt.size + told)
        self._queue.finish()
        self.announce_status()
        announcer.ended()
        self._speaking = None
        if late:
            self._queue.wait_stopped(late)
            self._history.add(prompt.prompt_id, record, prompt.size + told)


def _record(
    prompt: QueuedPrompt,
    outputs: Mapping[str, Any],
    nodes: DynamicPrompt,
    announcer: Announcer,
    outcome: Outcome,
) -> dict[str, Any]:
    return {
        "prompt": prompt.row(secrets=False),
        "outputs": outputs,
        "status": {
            "status_str": str(outcome),
            "completed": outcome is Outcome.SUCCESS,
            "messages": [list(message) for message in announcer.messages],
        },
        "meta": {
            node_id: {
                "node_id": node_id,
                "display_node": nodes.get_display_node_id(node_id),
                "parent_node": nodes.get_parent_node_id(node_id),
                "real_node_id": nodes.get_real_node_id(node_id),
            }
            for node_id in outputs
        },
    }
