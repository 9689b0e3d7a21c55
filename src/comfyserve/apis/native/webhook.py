"""The body of a webhook call: the event's name and the run as it was then."""

from comfyserve.apis.native.runs import run_shape
from comfyserve.services.deliver import Delivery
from comfyserve.services.files import Files
from comfyserve.services.postings import Posting, Snapshot, json_posting


def post(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
    """`{"event", "created_at", "run"}`; the run has the shape of `GET /v1/runs/{id}`."""
    body = {
        "event": delivery.event,
        "created_at": delivery.created_at.isoformat(),
        "run": run_shape(snapshot.run).model_dump(mode="json", exclude_none=False),
    }
    return json_posting(delivery.id, body)
