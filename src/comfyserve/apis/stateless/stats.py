"""How long the parts of a run took (stateless-comfyui-api.md section 2.9): whole milliseconds, read from its events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from comfyserve.core.runs import FactKind, Status
from comfyserve.services.postings import Snapshot
from comfyserve.services.records import EventView

RECEIVED = "received"
"""The key of the memo for when the request came, in epoch milliseconds."""


def stats_of(told: Snapshot) -> dict[str, Any] | None:
    """The `stats` of an answer; None for a run that was not executed to its end.

    `comfy_execution` has start, end and duration as the original's code gives them, and once more in `total`, as its
    README does. The times beside it follow one another, and their sum is `total_time`: preprocessing ends when the
    graph is queued and its files are there, the round trip with the engine's last word, what is left is the
    conversion, or the upload where there is one.
    """
    last = _last_attempt(told.events)
    begun, executed = _at(last, FactKind.STARTED), _at(last, FactKind.EXECUTED)
    queued = _at(told.events, FactKind.SUBMITTED)
    if begun is None or executed is None or queued is None or told.run.status is not Status.SUCCESS:
        return None
    start, end, submitted = _ms(begun), _ms(executed), _ms(queued)
    ended = max(end, _ms(told.run.ended_at or executed))
    received = min(submitted, int(told.memo.get(RECEIVED, submitted)))
    staging = sum(float(event.data.get("seconds", 0)) for event in last if event.kind == FactKind.STAGED)
    prepared = min(submitted + round(staging * 1000), end)
    rest, sent = ended - end, told.run.target is not None
    whole = {"start": start, "end": end, "duration": end - start}
    return {
        "comfy_execution": whole | {"total": dict(whole), "nodes": _nodes(last)},
        "preprocess_time": prepared - received,
        "comfy_round_trip_time": end - prepared,
        "postprocess_time": 0 if sent else rest,
        "upload_time": rest if sent else 0,
        "total_time": ended - received,
    }


def _last_attempt(events: Sequence[EventView]) -> Sequence[EventView]:
    """The events from the last claim on."""
    claims = [index for index, event in enumerate(events) if event.kind == FactKind.CLAIMED]
    return events[claims[-1] :] if claims else events


def _at(events: Sequence[EventView], kind: FactKind) -> datetime | None:
    return next((event.at for event in events if event.kind == kind), None)


def _nodes(events: Sequence[EventView]) -> dict[str, Any]:
    """The nodes that were executed, by their id; the first start of each counts."""
    nodes: dict[str, Any] = {}
    for event in events:
        if event.kind == FactKind.NODE_STARTED:
            nodes.setdefault(str(event.data.get("node_id")), {"start": _ms(event.at)})
    return nodes


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
