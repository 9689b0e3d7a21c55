"""Runs: what their clients send, and the run object with every key that SDK 0.7.0 requires (section 2.4)."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from comfyserve.apis.comfydeploy.outputs import Labels, run_outputs, workflow_outputs
from comfyserve.apis.comfydeploy.statuses import MACHINE_TYPE, STATUS
from comfyserve.apis.http.answers import iso, iso_or_none
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.limits import MAX_INPUTS, MAX_URL
from comfyserve.core.runs import Status
from comfyserve.services.records import RunView, SubmitRequest, WebhookWish

DIALECT = "comfydeploy"
NO_WORKFLOW = "00000000-0000-0000-0000-000000000000"
"""Their clients require a workflow id, which a run of a bare graph does not have."""

Origin = Literal["manual", "api", "public-share", "public-template", "workspace", "workspace-v2"]
Value = str | bool | int | float | list[Any]


class RunRequest(BaseModel):
    """What all run calls share; keys that we do not know are ignored, as their clients expect."""

    inputs: dict[str, Value] = Field(default_factory=dict, max_length=MAX_INPUTS)
    webhook: str | None = Field(None, max_length=MAX_URL)
    webhook_intermediate_status: bool | None = False
    gpu: str | None = Field(None, max_length=50)
    origin: Origin = "api"
    batch_number: int | None = None
    batch_input_params: dict[str, list[Any]] | None = None
    flags: list[str] | None = None


class DeploymentRunRequest(RunRequest):
    """Run a deployment."""

    deployment_id: UUID


class WorkflowRunRequest(RunRequest):
    """Run a graph that belongs to a workflow; `workflow_api` is accepted for `workflow_api_json`."""

    workflow_id: UUID
    workflow_api_json: dict[str, Any] | None = None
    workflow_api: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    machine_id: UUID | None = None

    @model_validator(mode="after")
    def _has_graph(self) -> "WorkflowRunRequest":
        if self.workflow_api_json is None and self.workflow_api is None:
            raise ValueError("workflow_api_json is required")
        return self


class AnyRunRequest(RunRequest):
    """The generic route: a version, a workflow or a deployment, by the keys that are present."""

    workflow_version_id: UUID | None = None
    deployment_id: UUID | None = None
    workflow_id: UUID | None = None
    workflow_api_json: dict[str, Any] | None = None
    workflow_api: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    machine_id: UUID | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "AnyRunRequest":
        graph = self.workflow_api_json or self.workflow_api
        if not (self.workflow_version_id or self.deployment_id or (self.workflow_id and graph)):
            raise ValueError("give workflow_version_id, deployment_id, or workflow_id with workflow_api_json")
        return self


class RunCreated(BaseModel):
    """The answer of a queue call."""

    model_config = ConfigDict(extra="forbid")

    run_id: str
    warnings: list[dict[str, Any]] | None = None


def submit_of(body: DeploymentRunRequest | WorkflowRunRequest | AnyRunRequest) -> SubmitRequest:
    """The wish that a body expresses: unknown inputs are reported, free seeds are drawn anew, as the plugin does.

    Raises InvalidInput for a batch.
    """
    if (body.batch_number or 1) > 1 or body.batch_input_params:
        raise InvalidInput("Batches are not supported; queue one run for each item.", place=Place(field="batch_number"))
    deployment = getattr(body, "deployment_id", None)
    version = getattr(body, "workflow_version_id", None)
    machine = getattr(body, "machine_id", None)
    named = version is not None or deployment is not None
    graph = None if named else getattr(body, "workflow_api_json", None) or getattr(body, "workflow_api", None)
    return SubmitRequest(
        deployment=str(deployment) if deployment and not version else None,
        version_id=str(version) if version else None,
        graph=graph,
        editor=getattr(body, "workflow", None) if graph else None,
        machine_id=str(machine) if machine else None,
        inputs=body.inputs,
        webhooks=_webhooks(body),
        dialect=DIALECT,
        origin=body.origin,
        unknown_inputs="report",
        randomise_seeds=True,
    )


def _webhooks(body: RunRequest) -> tuple[WebhookWish, ...]:
    on: Literal["changes", "end"] = "changes" if body.webhook_intermediate_status else "end"
    return (WebhookWish(body.webhook, DIALECT, on),) if body.webhook else ()


def created(view: RunView) -> dict[str, Any]:
    """The answer of a queue call, with warnings where there are any."""
    warnings = [dict(one) for one in view.warnings]
    return {"run_id": view.id} | ({"warnings": warnings} if warnings else {})


def run_object(view: RunView, *, labels: Labels, queue_position: bool) -> dict[str, Any]:
    """The run as `GET /run/{id}` shows it."""
    return {
        "id": view.id,
        "workflow_version_id": view.version_id,
        "workflow_inputs": dict(view.inputs),
        "workflow_id": view.workflow_id or NO_WORKFLOW,
        "workflow_api": None,
        "machine_id": view.machine_id,
        "deployment_id": view.deployment_id,
        "batch_id": None,
        "model_id": None,
        "origin": view.origin,
        "status": STATUS[view.status],
        **_times(view),
        "gpu_event_id": None,
        "gpu": None,
        "machine_version": None,
        "machine_type": MACHINE_TYPE,
        "modal_function_call_id": view.id,
        "user_id": view.key_id,
        "org_id": view.workspace_id,
        "live_status": None,
        "progress": 1.0 if view.status is Status.SUCCESS else 0.0,
        "is_realtime": False,
        "webhook": view.webhooks[0].url if view.webhooks else None,
        "webhook_status": None,
        "webhook_intermediate_status": any(wish.on == "changes" for wish in view.webhooks),
        "outputs": run_outputs(view.id, view.outputs, labels),
        "number": 0,
        "queue_position": view.queue_position if queue_position else None,
        "error": None if view.error is None else str(view.error.get("message", "")),
        "error_details": None if view.error is None else dict(view.error),
        "workflow_outputs": workflow_outputs(view.outputs),
        "warnings": [dict(one) for one in view.warnings],
        "simulated": view.simulated,
    }


def _times(view: RunView) -> dict[str, Any]:
    return {
        "created_at": iso(view.created_at),
        "updated_at": iso(view.updated_at),
        "queued_at": iso_or_none(view.claimed_at),
        "started_at": iso_or_none(view.started_at),
        "ended_at": iso_or_none(view.ended_at),
        "duration": _seconds(view.created_at, view.ended_at),
        "comfy_deploy_cold_start": _seconds(view.created_at, view.claimed_at),
        "cold_start_duration": _seconds(view.claimed_at, view.started_at),
        "cold_start_duration_total": _seconds(view.created_at, view.started_at),
        "run_duration": _seconds(view.started_at, view.ended_at),
    }


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())
