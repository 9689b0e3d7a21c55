"""Deployments: a stable name that pins a workflow version to a machine."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from comfyserve.apis.http.answers import Json, Timestamp
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.native.options import ConvertOutput, conversion_of, convert_shape
from comfyserve.apis.native.shapes import (
    DEFAULT_LIMIT,
    Body,
    Cursor,
    Id,
    InputShape,
    Limit,
    Listed,
    Name,
    Number,
    Shape,
    absent,
    input_shape,
    listed,
)
from comfyserve.core.limits import MAX_ENVIRONMENT, MAX_INPUTS, MAX_NAME
from comfyserve.services.records import DeploymentChange, DeploymentDraft, DeploymentView

router = APIRouter(tags=["deployments"], route_class=ApiRoute)

MAX_ALLOWED = 1_000
DEFAULT_FORMAT = "What runs get that ask for no `convert_output` themselves."


class NarrowingBody(Body):
    """What a deployment says about one input: its allowed values, its default, its label."""

    allowed: list[Any] | None = Field(None, max_length=MAX_ALLOWED)
    default: Any = None
    label: str | None = Field(None, max_length=MAX_NAME)


class NewDeployment(Body):
    """A deployment to make; `version` defaults to the latest, `machine_id` to the local machine."""

    name: Name
    workflow_id: Id
    version: Number | None = None
    machine_id: Id | None = None
    environment: str = Field("production", min_length=1, max_length=MAX_ENVIRONMENT)
    inputs: dict[str, NarrowingBody] = Field(default_factory=dict, max_length=MAX_INPUTS)
    convert_output: ConvertOutput | None = Field(None, description=DEFAULT_FORMAT)


class DeploymentPatch(Body):
    """What to change; what is not given stays. `convert_output: null` ends the default."""

    name: Name | None = None
    version: Number | None = None
    machine_id: Id | None = None
    inputs: dict[str, NarrowingBody] | None = Field(None, max_length=MAX_INPUTS)
    convert_output: ConvertOutput | None = Field(None, description=DEFAULT_FORMAT)


class Deployment(Shape):
    """A stable name for a workflow version on a machine."""

    id: str
    name: str
    environment: str
    workflow_id: str
    version: int
    machine_id: str
    inputs: list[InputShape]
    created_at: Timestamp
    updated_at: Timestamp
    convert_output: ConvertOutput | None = Field(None, exclude_if=absent, description=DEFAULT_FORMAT)
    simulated: bool


def deployment_shape(view: DeploymentView) -> Deployment:
    """The wire shape of a deployment."""
    return Deployment.model_construct(
        id=view.id,
        name=view.name,
        environment=view.environment,
        workflow_id=view.workflow_id,
        version=view.version,
        machine_id=view.machine_id,
        inputs=[input_shape(one) for one in view.inputs],
        created_at=view.created_at,
        updated_at=view.updated_at,
        convert_output=convert_shape(view.convert_output),
        simulated=view.simulated,
    )


def _narrowings(inputs: dict[str, NarrowingBody]) -> dict[str, Any]:
    return {name: one.model_dump(exclude_unset=True) for name, one in inputs.items()}


def draft_of(body: NewDeployment) -> DeploymentDraft:
    """What the service makes a deployment of."""
    return DeploymentDraft(
        name=body.name,
        workflow_id=body.workflow_id,
        version=body.version,
        machine_id=body.machine_id,
        environment=body.environment,
        narrowings=_narrowings(body.inputs),
        convert_output=conversion_of(body.convert_output),
    )


def change_of(body: DeploymentPatch) -> DeploymentChange:
    """What the service changes."""
    return DeploymentChange(
        name=body.name,
        version=body.version,
        machine_id=body.machine_id,
        narrowings=None if body.inputs is None else _narrowings(body.inputs),
        convert_output=conversion_of(body.convert_output) if "convert_output" in body.model_fields_set else "keep",
    )


@router.post("/deployments", status_code=201, response_model=Deployment)
async def create_deployment(request: Request, caller: SignedIn, body: NewDeployment) -> Json:
    """Deploy a workflow version; a name that is taken answers 409."""
    view = await services_of(request).deployments.create(caller, draft_of(body))
    return Json(deployment_shape(view), 201)


@router.get("/deployments", response_model=Listed[Deployment])
async def list_deployments(
    request: Request, caller: SignedIn, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Json:
    """The deployments, newest first."""
    page = await services_of(request).deployments.list(caller, limit=limit, cursor=cursor)
    return listed(page, deployment_shape)


@router.get("/deployments/{id_or_name}", response_model=Deployment)
async def get_deployment(request: Request, caller: SignedIn, id_or_name: str) -> Json:
    """One deployment, by its id or its name."""
    return Json(deployment_shape(await services_of(request).deployments.get(caller, id_or_name)))


@router.patch("/deployments/{id_or_name}", response_model=Deployment)
async def update_deployment(request: Request, caller: SignedIn, id_or_name: str, body: DeploymentPatch) -> Json:
    """Change what the deployment pins; runs that wait keep what they were made with."""
    view = await services_of(request).deployments.update(caller, id_or_name, change_of(body))
    return Json(deployment_shape(view))


@router.delete("/deployments/{id_or_name}", status_code=204)
async def delete_deployment(request: Request, caller: SignedIn, id_or_name: str) -> Response:
    """Take the deployment away; its runs stay."""
    await services_of(request).deployments.delete(caller, id_or_name)
    return Response(status_code=204)
