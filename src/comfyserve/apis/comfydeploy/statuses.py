"""Our states in ComfyDeploy's words (section 2.1)."""

from collections.abc import Mapping

from comfyserve.core.runs import Status

STATUS: Mapping[Status, str] = {
    Status.QUEUED: "queued",
    Status.STARTING: "started",
    Status.RUNNING: "running",
    Status.COLLECTING: "uploading",
    Status.SUCCESS: "success",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
    Status.TIMEOUT: "timeout",
}

MACHINE_STATUS: Mapping[str, str] = {"starting": "starting", "ready": "ready", "failed": "error"}
MACHINE_TYPE = "classic"
"""Every machine of ours is a ComfyUI that we talk to, in their words a classic one."""
