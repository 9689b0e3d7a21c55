"""The body of a webhook call: the event's name and the run as it was then."""

from typing import Any

from comfyserve.apis.native.runs import run_shape
from comfyserve.services.deliver import Delivery
from comfyserve.services.records import RunView


def webhook_body(delivery: Delivery, view: RunView) -> dict[str, Any]:
    """`{"event", "created_at", "run"}`; the run has the shape of `GET /v1/runs/{id}`."""
    return {
        "event": delivery.event,
        "created_at": delivery.created_at.isoformat(),
        "run": run_shape(view).model_dump(mode="json", exclude_none=False),
    }
