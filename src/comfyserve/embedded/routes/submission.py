"""From the body of POST /prompt to a queued prompt (spec section 2)."""

from __future__ import annotations

import math
import time
import uuid
from typing import Any

from comfyserve.embedded.engine import Engine
from comfyserve.embedded.prompts.queue import QueuedPrompt, QueueFull
from comfyserve.embedded.routes.bodies import bad_request, id_list, parse_object
from comfyserve.embedded.validate.graph_check import Answer, prompt_error, validate
from comfyserve.protocol.errors import PROMPT_MESSAGES, PromptError

MAX_ID = 200
"""Characters of a prompt's id."""
MAX_DEPTH = 100
"""Levels of nesting in a prompt's body; workflows with nested subgraphs have about twenty."""


class Refused(Exception):
    """A prompt that is not queued: the answer's status and its two objects."""

    def __init__(self, error: Answer, node_errors: dict[str, Answer] | None = None, status: int = 400) -> None:
        super().__init__(error["message"])
        self.error = error
        self.node_errors = node_errors or {}
        self.status = status


async def accept(engine: Engine, body: bytes) -> tuple[QueuedPrompt, dict[str, Answer]]:
    """Validate and queue; the second value has the errors of outputs that will not run. Raises Refused or 400."""
    wish = _publishable(engine.packs.on_prompt(parse_object(body)))
    number = _number(wish, engine)
    prompt_id, extra_data = _prompt_id(wish), _extra_data(wish)
    graph = _graph(wish, engine.settings.graph_nodes)
    verdict = await validate(graph, engine.catalogue, _targets(wish))
    if verdict.error is not None:
        raise Refused(verdict.error, verdict.node_errors)
    prompt = QueuedPrompt(number, prompt_id, graph, extra_data, verdict.outputs, len(body))
    try:
        engine.queue.put(prompt, engine.worker.announce_status)
    except QueueFull as full:
        error = prompt_error(PromptError.QUEUE_FULL, f"The queue is full: {full}")
        raise Refused(error, status=429) from full
    return prompt, verdict.node_errors


def _publishable(wish: dict[str, Any]) -> dict[str, Any]:
    """What is queued is told again in queue, history and files: 400 for depth, and for what strict JSON cannot say.

    It is what packs made of the body: parts of it may be tuples, and may stand in several places or in themselves.
    """
    level: list[Any] = [wish]
    for _ in range(MAX_DEPTH):
        inner: dict[int, Any] = {}
        for value in level:
            if isinstance(value, float) and not math.isfinite(value):
                raise bad_request("Numbers must be finite: JSON has no NaN and no infinity")
            if isinstance(value, dict):
                inner.update((id(one), one) for one in value.values())
            elif isinstance(value, list | tuple):
                inner.update((id(one), one) for one in value)
        if not inner:
            return wish
        level = list(inner.values())
    raise bad_request(f"The body is nested deeper than {MAX_DEPTH} levels")


def _graph(wish: dict[str, Any], most: int) -> dict[str, Any]:
    if "prompt" not in wish:
        message = PROMPT_MESSAGES[PromptError.NO_PROMPT]
        raise Refused(prompt_error(PromptError.NO_PROMPT, message, message))
    graph = wish["prompt"]
    if not isinstance(graph, dict):
        raise bad_request("prompt must be an object: node id -> {class_type, inputs}")
    if len(graph) > most:
        raise bad_request(f"The graph has {len(graph)} nodes; at most {most} are taken")
    return graph


def _number(wish: dict[str, Any], engine: Engine) -> float:
    """The priority: given, or the server's counter, negated for `front`."""
    if "number" not in wish:
        count = next(engine.counter)
        return -count if wish.get("front") else count
    try:
        number = float(wish["number"])
    except (TypeError, ValueError, OverflowError) as error:
        raise bad_request("number must be a number") from error
    if not math.isfinite(number):
        raise bad_request("number must be finite")
    return number


def _targets(wish: dict[str, Any]) -> set[str] | None:
    targets = wish.get("partial_execution_targets")
    if targets is None:
        return None
    return set(id_list(targets))


def _prompt_id(wish: dict[str, Any]) -> str:
    given = wish.get("prompt_id")
    if given is None:
        return str(uuid.uuid4())
    if not isinstance(given, str) or len(given) > MAX_ID:
        raise bad_request(f"prompt_id must be a text of at most {MAX_ID} characters")
    return given


def _extra_data(wish: dict[str, Any]) -> dict[str, Any]:
    extra = dict(_object(wish, "extra_data"))
    _object(extra, "extra_pnginfo")
    if "client_id" in wish:
        extra["client_id"] = wish["client_id"]
    client = extra.get("client_id")
    if client is not None and (isinstance(client, bool) or not isinstance(client, str | int | float)):
        raise bad_request("client_id must be a text or a number")
    extra["create_time"] = int(time.time() * 1000)
    return extra


def _object(place: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name, an empty one for none and for null."""
    value = place.get(name)
    if value is not None and not isinstance(value, dict):
        raise bad_request(f"{name} must be an object")
    return value or {}
