"""What packs touch of ComfyUI's executor: the queue, validation, and names they look up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from comfyserve.embedded.comfy_modules.comfy_execution.graph import DependencyCycleError, DynamicPrompt
from comfyserve.embedded.graph.blocker import ExecutionBlocker
from comfyserve.embedded.graph.run_errors import full_type_name
from comfyserve.embedded.packs.host import engine
from comfyserve.embedded.prompts.queue import QueuedPrompt
from comfyserve.embedded.validate.graph_check import validate
from comfyserve.protocol.routes import SECRET_EXTRA_DATA

__all__ = [
    "MAXIMUM_HISTORY_SIZE",
    "SENSITIVE_EXTRA_DATA_KEYS",
    "DependencyCycleError",
    "DynamicPrompt",
    "ExecutionBlocker",
    "ExecutionResult",
    "PromptExecutor",
    "PromptQueue",
    "full_type_name",
    "validate_prompt",
]

MAXIMUM_HISTORY_SIZE: Final = engine().settings.history_length
SENSITIVE_EXTRA_DATA_KEYS: Final = tuple(SECRET_EXTRA_DATA)

Item = tuple[float, str, dict[str, Any], dict[str, Any], list[str]]


class ExecutionResult(Enum):
    """How one node call ended."""

    SUCCESS = 0
    FAILURE = 1
    PENDING = 2


class PromptExecutor:
    """Packs patch its methods; this engine's executor is another one, so that a patch changes nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError("The embedded engine runs prompts itself: put them into the queue instead.")

    def execute(self, *_: object, **__: object) -> None:
        """Never called."""

    async def execute_async(self, *_: object, **__: object) -> None:
        """Never called."""


class PromptQueue:
    """ComfyUI's queue over the engine's queue and history."""

    def __init__(self, server: Any = None) -> None:
        self.server = server
        self._engine = engine()

    @property
    def currently_running(self) -> dict[int, Item]:
        running = self._engine.queue.look()[0]
        return {0: _item(running)} if running else {}

    @property
    def queue(self) -> list[Item]:
        return [_item(prompt) for prompt in self._engine.queue.look()[1]]

    @property
    def history(self) -> dict[str, Any]:
        return self._engine.history.page()

    def put(self, item: Item) -> None:
        """Queue (number, prompt id, prompt, extra data, outputs); raises QueueFull."""
        number, prompt_id, prompt, extra, outputs = item[:5]
        self._engine.queue.put(QueuedPrompt(number, prompt_id, prompt, dict(extra), list(outputs)))
        self._engine.worker.announce_status()

    def get_current_queue(self) -> tuple[list[Item], list[Item]]:
        """What runs and what waits."""
        return list(self.currently_running.values()), self.queue

    def get_current_queue_volatile(self) -> tuple[list[Item], list[Item]]:
        return self.get_current_queue()

    def get_tasks_remaining(self) -> int:
        return self._engine.queue.remaining()

    def wipe_queue(self) -> None:
        self._engine.queue.clear()
        self._engine.worker.announce_status()

    def delete_queue_item(self, function: Callable[[Item], bool]) -> bool:
        """Remove the first waiting prompt for which function says yes; whether there was one."""
        found = next((item for item in self.queue if function(item)), None)
        if found is not None:
            self._engine.queue.delete([found[1]])
            self._engine.worker.announce_status()
        return found is not None

    def get_history(
        self,
        prompt_id: str | None = None,
        max_items: int | None = None,
        offset: int = -1,
        map_function: Callable[[Any], Any] | None = None,
    ) -> dict[str, Any]:
        """Records by prompt id, oldest first."""
        history = self._engine.history
        found: Mapping[str, Any] = history.page(max_items, offset) if prompt_id is None else history.get(prompt_id)
        return {key: map_function(record) if map_function else record for key, record in found.items()}

    def wipe_history(self) -> None:
        self._engine.history.clear()

    def delete_history_item(self, id_to_delete: str) -> None:
        self._engine.history.delete([id_to_delete])

    def set_flag(self, name: str, data: object) -> None:
        """`free_memory` drops cached results; the other flags are about models, of which there are none."""
        if name == "free_memory" and data:
            self._engine.queue.wish_free()

    def get_flags(self, reset: bool = True) -> dict[str, Any]:
        return {}


async def validate_prompt(
    prompt_id: str, prompt: dict[str, Any], partial_execution_list: list[str] | None = None
) -> tuple[bool, dict[str, Any] | None, list[str], dict[str, Any]]:
    """(valid, error, outputs that may run, errors by node) of a graph."""
    verdict = await validate(prompt, engine().catalogue, partial_execution_list)
    return verdict.error is None, verdict.error, verdict.outputs, verdict.node_errors


def _item(prompt: QueuedPrompt) -> Item:
    number, prompt_id, graph, extra, outputs = prompt.row()[:5]
    return number, prompt_id, graph, extra, outputs
