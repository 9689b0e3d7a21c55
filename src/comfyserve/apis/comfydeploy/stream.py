"""Our events in the words and the order of section 3.1.6: two event names, and ComfyUI's messages inside."""

from collections.abc import Iterator
from typing import Any

from comfyserve.apis.comfydeploy.outputs import Labels, media_item, plain
from comfyserve.apis.comfydeploy.statuses import STATUS
from comfyserve.apis.http.answers import iso
from comfyserve.core.runs import FINAL, FactKind
from comfyserve.services.records import EventView
from comfyserve.services.watch import Preview, Progress

UPDATE = "event_update"
LOG = "log_update"

Told = tuple[str, dict[str, Any]]
"""The name and the data of one message."""


def update(event: str, data: Any = None) -> Told:
    """An `event_update`; without data the key is left out."""
    return UPDATE, {"event": event} if data is None else {"event": event, "data": data}


def opening(run_id: str) -> list[Told]:
    """What a stream begins with."""
    return [update("queuing"), update("run_id", run_id), update("function_call_id", run_id)]


def told(run_id: str, event: EventView | Progress | Preview, labels: Labels) -> list[Told]:
    """The messages for one of our events; previews have no place in this dialect."""
    if isinstance(event, Preview):
        return []
    if isinstance(event, Progress):
        return [_progress(run_id, event), _live_status(run_id, event.node_id, event.fraction)]
    return list(_durable(run_id, event, labels))


def _progress(run_id: str, event: Progress) -> Told:
    step = {"value": event.value, "max": event.maximum, "node": event.node_id, "prompt_id": run_id}
    return update("progress", step)


def _live_status(run_id: str, what: str, progress: float) -> Told:
    status = {"prompt_id": run_id, "live_status": f"Executing {what}", "progress": round(progress, 4)}
    return update("live_status", status)


def _durable(run_id: str, event: EventView, labels: Labels) -> Iterator[Told]:
    data = event.data
    match event.kind:
        case FactKind.CLAIMED:
            yield update("gpu_ready")
            yield UPDATE, {"event": "gpu_event_id", "data": None}
        case FactKind.STARTED:
            yield update("comfyui_api_ready")
            yield update("comfyui_ready")
            yield UPDATE, {"prompt_id": run_id, "number": 0, "node_errors": {}}
            yield update("execution_start", {"prompt_id": run_id})
        case FactKind.NODE_STARTED:
            yield update("executing", {"node": data.get("node_id"), "prompt_id": run_id})
            total = max(int(data.get("total") or 1), 1)
            named = str(data.get("class_type") or data.get("node_id"))
            yield _live_status(run_id, named, (int(data.get("index") or 1) - 1) / total)
        case FactKind.OUTPUT:
            yield update("output_ready", _output(run_id, data, labels))
        case FactKind.LOST | FactKind.WARNING:
            yield LOG, {"logs": str(data.get("reason") or data.get("message") or ""), "timestamp": iso(event.at)}
        case _:
            yield from _ending(run_id, event)


def _ending(run_id: str, event: EventView) -> Iterator[Told]:
    if event.status not in FINAL:
        return
    if event.kind == FactKind.SUCCEEDED:
        yield update("execution_success", {"prompt_id": run_id})
    elif error := event.data.get("error"):
        facts = {"exception_message": error.get("message"), "exception_type": error.get("code")}
        place = error.get("place", {})
        yield update("execution_error", {"prompt_id": run_id, "node_id": place.get("node_id"), **facts})
    yield update("status", {"prompt_id": run_id, "status": STATUS[event.status]})


def _output(run_id: str, data: Any, labels: Labels) -> dict[str, Any]:
    node_id = str(data.get("node_id"))
    if data.get("url"):
        label = labels.get(node_id)
        item: Any = media_item(data["url"], data["filename"], data["type"], data.get("subfolder", ""), label)
    else:
        item = plain(data.get("value"))
    return {"node": node_id, "output": {str(data.get("key")): [item]}, "prompt_id": run_id}
