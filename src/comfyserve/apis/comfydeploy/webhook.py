"""The body of a webhook call (comfydeploy.md, section 5.1)."""

from comfyserve.apis.comfydeploy.outputs import run_outputs
from comfyserve.apis.comfydeploy.statuses import STATUS
from comfyserve.core.runs import Status
from comfyserve.services.deliver import Delivery
from comfyserve.services.files import Files
from comfyserve.services.postings import Posting, Snapshot, json_posting


def post(delivery: Delivery, snapshot: Snapshot, files: Files) -> Posting:
    """What a receiver written for ComfyDeploy reads; `deployment_id` lets its documented signature check work."""
    view = snapshot.run
    body = {
        "event_type": delivery.event,
        "run_id": view.id,
        "deployment_id": view.deployment_id,
        "status": STATUS[view.status],
        "live_status": None,
        "progress": 1.0 if view.status is Status.SUCCESS else 0.0,
        "outputs": run_outputs(view.id, view.outputs, {}),
    }
    return json_posting(delivery.id, body)
