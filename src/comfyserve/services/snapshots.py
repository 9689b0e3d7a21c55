"""A run with all that its dialect needs to tell of it, as it is now or as it was at an event."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from comfyserve.core.limits import MAX_NUMBER
from comfyserve.core.runs import FINAL, Status
from comfyserve.db import events, outputs, runs
from comfyserve.db.rows import Row
from comfyserve.services.postings import Snapshot
from comfyserve.services.views import AssetUrl, event_view, output_view, run_view


def present(connection: Connection, run: Row, url: AssetUrl) -> Snapshot:
    """The run as it is."""
    return _snapshot(connection, run, outputs.of_run(connection, run["id"]), url)


def at_event(connection: Connection, run: Row, moment: Mapping[str, Any], url: AssetUrl) -> Snapshot:
    """The run as it was when the event of an owed delivery (its `body`) happened: its state then, and what was recorded
    by then. Of a call that is about one output only that."""
    status = Status(moment["status"])
    found = outputs.of_run(connection, run["id"])
    if moment.get("output_id"):
        found = [output for output in found if output["id"] == moment["output_id"]]
    elif status not in FINAL:
        found = []
    now = _snapshot(connection, run, found, url)
    view = replace(now.run, status=status, last_event=moment["seq"])
    view = view if status in FINAL else replace(view, ended_at=None, error=None)
    return replace(now, run=view, events=[event for event in now.events if event.seq <= moment["seq"]])


def _snapshot(connection: Connection, run: Row, found: Sequence[Row], url: AssetUrl) -> Snapshot:
    told = events.after(connection, run["id"], 0, MAX_NUMBER)
    return Snapshot(
        run=run_view(run, outputs=[output_view(output, url) for output in found]),
        events=[event_view(event, url) for event in told],
        graph=runs.graph_of(connection, run["id"]),
        memo=run["memo"] or {},
    )
