"""What an engine says, read with care: messages into events, a history record into an Outcome, a refusal into an error.

Pure functions over untrusted values (spec comfyui-protocol sections 2, 8, 10, 15); what makes no sense is skipped.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from comfyserve.core.errors import EngineError, Place
from comfyserve.core.outputs import NodeOutput, read_outputs
from comfyserve.ports import EngineEvent, NodeFinished, NodeStarted, Outcome, Progress
from comfyserve.protocol.messages import Event

MAX_TEXT = 2_000
MAX_MESSAGE = 500
MAX_ITEMS = 50
MAX_DEPTH = 6
MAX_TRACEBACK_LINES = 40
TRACEBACK = "traceback"

UNFIT_TYPES = ("OutOfMemoryError", "MemoryError", "AcceleratorError")
UNFIT_WORDS = ("cuda out of memory", "cuda error", "no cuda gpus are available", "hip out of memory", "hip error")
"""Signs that the engine is out of memory or without its GPU: it should be restarted before it gets another run."""


class Message(msgspec.Struct):
    """A text frame of the websocket; `data` is parsed only when somebody wants it."""

    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
LARGEST_INT = 2**63 - 1
"""Larger ones fit neither a database column nor every reader of JSON."""

_message = msgspec.json.Decoder(Message)


def read_json(data: bytes | str) -> Any:
    """A JSON value, NaN and Infinity included (Python servers send them); None when it is not JSON. Half of a surrogate
    pair, which no database and no answer of ours can hold, becomes a question mark."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        text = data if isinstance(data, str) else data.decode()
        value = json.loads(text)
        return whole(value) if SURROGATE.search(text) else value
    except (ValueError, RecursionError):
        return None


def whole(value: Any) -> Any:
    """The same JSON value with every half of a surrogate pair replaced."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {whole(key): whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def read_message(frame: str) -> tuple[str, Mapping[str, Any]] | None:
    """Type and data of a text frame we have a use for, else None."""
    kind: Any
    data: Any
    try:
        message = _message.decode(frame)
        kind = message.type
        if kind not in USEFUL:
            return None
        data = read_json(bytes(message.data))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        whole = read_json(frame)
        if not isinstance(whole, dict):
            return None
        kind, data = whole.get("type"), whole.get("data")
    return (kind, data) if isinstance(kind, str) and isinstance(data, dict) else None


USEFUL = frozenset(Event) - {Event.PROGRESS_STATE, Event.LOGS, Event.NOTIFICATION, Event.FEATURE_FLAGS}


def read_event(kind: str, data: Mapping[str, Any]) -> EngineEvent | None:
    """The event that a message of a prompt stands for, if it stands for one."""
    if kind == Event.EXECUTING and (node := _text(data, "display_node", "node")):
        return NodeStarted(node)
    if kind == Event.PROGRESS and (node := _text(data, "node")):
        value, maximum = _number(data.get("value")), _number(data.get("max"))
        if value is not None and maximum is not None:
            return Progress(node, value, maximum)
    if kind == Event.EXECUTED and isinstance(output := data.get("output"), dict) and (node := _text(data, "node")):
        return NodeFinished(node, _outputs({node: output}))
    return None


def read_arguments(stats: Any) -> Sequence[str]:
    """The command line in an answer of `/system_stats`; empty when it tells none."""
    system = stats.get("system") if isinstance(stats, dict) else None
    words = system.get("argv") if isinstance(system, dict) else None
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


def read_outcome(record: Mapping[str, Any]) -> Outcome:
    """How a prompt ended. Its messages count for more than `status_str` (spec section 15, trap 3)."""
    ui = record.get("outputs")
    ui = ui if isinstance(ui, dict) else {}
    outputs = _outputs(ui)
    simulated = any(isinstance(node, dict) and node.get("simulated") == [True] for node in ui.values())
    status = record.get("status")
    status = status if isinstance(status, dict) else {}
    said = dict(_messages(status.get("messages")))
    if (raised := said.get(Event.EXECUTION_ERROR)) is not None:
        return Outcome("error", outputs, node_failure(raised).as_dict(), simulated)
    if Event.EXECUTION_INTERRUPTED in said:
        return Outcome("interrupted", outputs, None, simulated)
    if status.get("status_str") == "error":
        error = EngineError("The engine reports that the graph failed and gives no reason; see the engine's log.")
        return Outcome("error", outputs, error.as_dict(), simulated)
    return Outcome("success", outputs, None, simulated)


def traceback_of(record: Mapping[str, Any]) -> str:
    """Where in the engine's code a node raised: for the operator's log, since it tells the paths of its machine."""
    status = record.get("status")
    said = dict(_messages(status.get("messages"))) if isinstance(status, dict) else {}
    lines = said.get(Event.EXECUTION_ERROR, {}).get(TRACEBACK)
    return "".join(str(line)[:MAX_TEXT] for line in lines[-MAX_TRACEBACK_LINES:]) if isinstance(lines, list) else ""


def node_failure(data: Mapping[str, Any]) -> EngineError:
    """The error of an `execution_error` message. `details.needs_restart` marks an engine that lost memory or GPU."""
    node_id, node_type = _text(data, "node_id"), _text(data, "node_type")
    exception_type = _text(data, "exception_type")[:MAX_MESSAGE]
    text = _text(data, "exception_message").strip()[:MAX_TEXT]
    details: dict[str, Any] = {"exception_type": exception_type, "node_type": node_type[:MAX_MESSAGE]}
    if is_unfit(exception_type, text):
        details["needs_restart"] = True
    who = f"Node {node_id} ({node_type})" if node_id else "A node"
    return EngineError(
        f"{who} failed: {text or exception_type or 'no reason given'}",
        place=Place(node_id=node_id or None),
        details=details,
    )


def is_unfit(exception_type: str, text: str) -> bool:
    """Whether this failure says that the engine ran out of memory or lost its GPU."""
    return exception_type.endswith(UNFIT_TYPES) or any(word in text.lower() for word in UNFIT_WORDS)


def read_refusal(status: int, body: Any) -> EngineError:
    """The error of a refused `POST /prompt`: a sentence, the node and input at fault, bounded details."""
    answer = body if isinstance(body, dict) else {}
    error = answer.get("error")
    error = error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}
    details: dict[str, Any] = {"status": status, "type": _text(error, "type")[:MAX_MESSAGE]}
    if isinstance(node_errors := answer.get("node_errors"), dict) and node_errors:
        details["node_errors"] = bounded(node_errors)
    for node_id, field, sentence in read_node_errors(node_errors):
        return EngineError(
            f"The engine refuses the graph. {sentence}",
            place=Place(node_id=node_id, field=field or None),
            details=details,
        )
    extra = error.get("extra_info")
    node_id = _text(extra, "node_id") if isinstance(extra, dict) else ""
    reason = ": ".join(filter(None, (_text(error, "message"), _text(error, "details"))))
    reason = reason[:MAX_MESSAGE] or f"It answered with status {status} and no reason."
    return EngineError(f"The engine refuses the graph. {reason}", place=Place(node_id=node_id or None), details=details)


def read_node_errors(node_errors: Any) -> Iterator[tuple[str, str, str]]:
    """Node id, input name and a sentence for every entry of `node_errors`."""
    if not isinstance(node_errors, dict):
        return
    for node_id, found in node_errors.items():
        errors = found.get("errors") if isinstance(found, dict) else None
        for error in errors if isinstance(errors, list) else ():
            if isinstance(error, dict):
                yield node_id, *_node_error(node_id, _text(found, "class_type"), error)


def _node_error(node_id: str, class_type: str, error: Mapping[str, Any]) -> tuple[str, str]:
    extra = error.get("extra_info")
    field = _text(extra, "input_name") if isinstance(extra, dict) else ""
    said, more = _text(error, "message") or _text(error, "type"), _text(error, "details")
    sentence = f"Node {node_id} ({class_type}): {said}" + (f" ({more})" if more and more != said else "")
    return field, sentence[:MAX_MESSAGE]


def tracebacks_in(answer: Any) -> str:
    """Where in the engine's code a check of the graph raised: for the operator's log, like `traceback_of`."""
    node_errors = answer.get("node_errors") if isinstance(answer, dict) else None
    lines = _values_of(TRACEBACK, bounded(node_errors, keep_traces=True))
    return "".join(str(line) for line in lines)


def _values_of(name: str, value: Any) -> Iterator[Any]:
    """The items of the lists that stand under a name, anywhere in a bounded JSON value."""
    if isinstance(value, dict):
        found = value.get(name)
        yield from found if isinstance(found, list) else ()
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _values_of(name, item)


def bounded(value: Any, depth: int = 0, *, keep_traces: bool = False) -> Any:
    """The same JSON value with long texts, long lists and deep places cut, so that it can be stored, and without
    tracebacks, which tell the paths of the engine's machine."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "..."
    if isinstance(value, dict):
        shown = [(key, item) for key, item in value.items() if keep_traces or key != TRACEBACK][:MAX_ITEMS]
        inside = () if depth >= MAX_DEPTH else shown
        return {str(key)[:MAX_MESSAGE]: bounded(item, depth + 1, keep_traces=keep_traces) for key, item in inside}
    if isinstance(value, list):
        items = [] if depth >= MAX_DEPTH else value[:MAX_ITEMS]
        return [bounded(item, depth + 1, keep_traces=keep_traces) for item in items]
    return _plain(value)


def _outputs(ui: Mapping[str, Any]) -> tuple[NodeOutput, ...]:
    return tuple(replace(output, value=_plain(output.value)) for output in read_outputs(ui))


def _plain(value: Any) -> Any:
    """The same value, or its text when it is a number that JSON or a database cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value) if isinstance(value, int) and abs(value) > LARGEST_INT else value


def _messages(messages: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for entry in messages if isinstance(messages, list) else ():
        if isinstance(entry, Sequence) and len(entry) == 2 and isinstance(entry[0], str):
            yield entry[0], entry[1] if isinstance(entry[1], dict) else {}


def _text(data: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text or a number, as text."""
    for name in names:
        value = data.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def _number(value: Any) -> float | None:
    """A number that can be counted with, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LARGEST_INT:
        return None
    return float(value) if math.isfinite(value) else None
