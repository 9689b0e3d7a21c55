"""Our events in the words and the order of section 3.1.6: two event names, and ComfyUI's messages inside."""

from collections.abc import Iterator
from typing import Any

from comfyserve.apis.comfydeploy.outputs import Labels, media_item, plain
from comfyserve.apis.comfydeploy.statuses import STATUS
from comfyserve.apis.http.answers import iso
from comfyserve.core.runs import FINAL, FactKind
from comfyserve.services.records import EventView
from comfyserve.services.watch import Downloading, Preview, Progress, Watched

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


class Story:
    """One run told from its begin to its end: nodes by their classes, and progress that never goes back."""

    def __init__(self, run_id: str, labels: Labels) -> None:
        self._run_id = run_id
        self._labels = labels
        self._classes: dict[str, str] = {}
        self._highest = 0.0

    def told(self, event: Watched) -> list[Told]:
        """The messages for one of our events; previews have no place in this dialect."""
        if isinstance(event, Preview):
            return []
        if isinstance(event, Downloading):
            return [self._live_status(_downloading(event), 0.0)]
        if isinstance(event, Progress):
            return [_progress(self._run_id, event), self._executing(event.node_id, event.fraction)]
        messages = list(_durable(self._run_id, event, self._labels))
        if event.kind == FactKind.NODE_STARTED:
            node_id = str(event.data.get("node_id"))
            self._classes[node_id] = str(event.data.get("class_type") or node_id)
            messages.append(self._executing(node_id, 0.0))
        return messages

    def _executing(self, node_id: str, progress: float) -> Told:
        return self._live_status(f"Executing {self._classes.get(node_id, node_id)}", progress)

    def _live_status(self, what: str, progress: float) -> Told:
        self._highest = max(self._highest, progress)
        status = {"prompt_id": self._run_id, "live_status": what, "progress": round(self._highest, 4)}
        return update("live_status", status)


def _progress(run_id: str, event: Progress) -> Told:
    step = {"value": event.value, "max": event.maximum, "node": event.node_id, "prompt_id": run_id}
    return update("progress", step)


def _downloading(event: Downloading) -> str:
    share = f" {event.received * 100 // event.total} %" if event.total else ""
    return f"Downloading {event.name}{share}"


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
        case FactKind.DOWNLOADED:
            logs = f"{data.get('name')}: {'in the cache' if data.get('cached') else 'downloaded'}"
            yield LOG, {"logs": f"{logs}, {data.get('bytes')} bytes", "timestamp": iso(event.at)}
        case FactKind.NODE_STARTED:
            yield update("executing", {"node": data.get("node_id"), "prompt_id": run_id})
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
