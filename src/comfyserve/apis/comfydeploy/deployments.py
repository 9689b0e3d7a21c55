"""Deployments (section 3.7), with the inputs and outputs of their graphs (section 2.6)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from comfyserve.apis.comfydeploy.auth import TokenHolder
from comfyserve.apis.comfydeploy.paging import DEFAULT_LIMIT, Limit, Offset, window
from comfyserve.apis.comfydeploy.wording import DEPLOYMENT, missing
from comfyserve.apis.comfydeploy.workflows import version_row
from comfyserve.apis.http.answers import Json, iso
from comfyserve.apis.http.bundle import Services, services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.inputs import OUTPUTS, Input, Kind
from comfyserve.services.records import Caller, DeploymentChange, DeploymentView, VersionView

router = APIRouter(tags=["comfydeploy: deployments"], route_class=ApiRoute)

Environment = Literal["staging", "production", "public-share", "private-share", "community-share", "preview"]
TYPES: Mapping[Kind, str] = {
    Kind.NUMBER: "float",
    Kind.INTEGER: "integer",
    Kind.SEED: "integer",
    Kind.BOOLEAN: "boolean",
}
"""Input kinds that are not `string` in their type table (section 3.1.3)."""

ALSO_OUTPUTS = frozenset({"SaveImage"})
CONCURRENCY, RUN_TIMEOUT = 2, 300


class DeploymentBody(BaseModel):
    """What to deploy: without `deployment_id` the workflow's deployment in this environment is updated or made."""

    workflow_version_id: UUID
    workflow_id: UUID
    environment: Environment
    machine_id: UUID | None = None
    machine_version_id: UUID | None = None
    deployment_id: UUID | None = None
    description: str | None = None


def input_type(one: Input, graph: Mapping[str, Any]) -> dict[str, Any]:
    """An InputDef: the node's own inputs, and the facts that clients read beside them."""
    node = graph.get(one.node_ids[0], {}) if one.node_ids else {}
    shown = {
        "class_type": one.class_type,
        "type": TYPES.get(one.kind, "string"),
        "input_id": one.id,
        "default_value": list(one.default) if isinstance(one.default, tuple) else one.default,
        "min_value": one.minimum,
        "max_value": one.maximum,
        "display_name": one.label,
        "description": one.description,
    }
    if one.choices:
        shown["enum_options"] = list(one.choices)
    return {**node.get("inputs", {}), **shown}


def output_types(graph: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The OutputDefs of a graph."""
    return [
        {"class_type": node["class_type"], "output_id": node.get("inputs", {}).get("output_id", "")}
        for node in graph.values()
        if node.get("class_type") in OUTPUTS or node.get("class_type") in ALSO_OUTPUTS
    ]


def deployment_row(view: DeploymentView) -> dict[str, Any]:
    """The columns of a deployment."""
    return {
        "id": view.id,
        "user_id": view.created_by,
        "org_id": view.workspace_id,
        "workflow_version_id": view.version_id,
        "workflow_id": view.workflow_id,
        "machine_id": view.machine_id,
        "share_slug": None,
        "description": None,
        "share_options": None,
        "showcase_media": None,
        "environment": view.environment,
        "created_at": iso(view.created_at),
        "updated_at": iso(view.updated_at),
        "dub_link": None,
        "gpu": None,
        "machine_version_id": None,
        "modal_image_id": None,
        "modal_app_id": None,
        "concurrency_limit": CONCURRENCY,
        "run_timeout": RUN_TIMEOUT,
        "idle_timeout": 0,
        "keep_warm": 0,
        "activated_at": iso(view.updated_at),
    }


def deployment_object(view: DeploymentView, version: VersionView) -> dict[str, Any]:
    """A deployment with what hangs on it."""
    graph = version.graph or {}
    workflow = {"id": view.workflow_id, "name": view.workflow_name, "cover_image": None, "cover_url": None}
    inputs: Sequence[Input] = view.inputs
    return deployment_row(view) | {
        "workflow": workflow,
        "version": version_row(version),
        "machine": None,
        "input_types": [input_type(one, graph) for one in inputs],
        "output_types": output_types(graph),
    }


@router.post("/deployment")
async def create_deployment(request: Request, caller: TokenHolder, body: DeploymentBody) -> Json:
    """Deploy a version to an environment; the deployment's id stays the same from version to version."""
    return Json(deployment_row(await _deployed(services_of(request), caller, body)))


@router.get("/deployment/{deployment_id}")
async def get_deployment(request: Request, caller: TokenHolder, deployment_id: UUID) -> Json:
    """One deployment with its inputs."""
    services = services_of(request)
    with missing(DEPLOYMENT):
        view = await services.deployments.get(caller, str(deployment_id))
    return Json(await _full(services, caller, view))


@router.get("/deployments")
async def list_deployments(
    request: Request,
    caller: TokenHolder,
    environment: Environment | None = None,
    page_size: Annotated[Limit | None, Query()] = None,
    offset: Offset = 0,
) -> Json:
    """The deployments with their inputs, newest first."""
    services = services_of(request)
    found = await window(
        lambda cursor, size: services.deployments.list(caller, cursor=cursor, limit=size, environment=environment),
        limit=page_size or DEFAULT_LIMIT,
        offset=offset,
    )
    return Json([await _full(services, caller, one) for one in found])


async def _full(services: Services, caller: Caller, view: DeploymentView) -> dict[str, Any]:
    return deployment_object(view, await services.workflows.version_by_id(caller, view.version_id))


async def _deployed(services: Services, caller: Caller, body: DeploymentBody) -> DeploymentView:
    if body.machine_id is None and body.machine_version_id is None:
        raise InvalidInput("Machine ID or Machine Version ID is required", place=Place(field="machine_id"))
    version_id = str(body.workflow_version_id)
    machine_id = str(body.machine_id) if body.machine_id else None
    if body.deployment_id is None:
        return await services.deployments.upsert(caller, version_id, machine_id, body.environment)
    change = DeploymentChange(version_id=version_id, machine_id=machine_id, environment=body.environment)
    return await services.deployments.update(caller, str(body.deployment_id), change)
