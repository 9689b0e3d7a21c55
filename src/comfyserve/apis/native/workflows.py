"""Workflows and their immutable versions."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from comfyserve.apis.http.answers import Json, Timestamp
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.native.shapes import (
    DEFAULT_LIMIT,
    Body,
    Cursor,
    Graph,
    Id,
    InputShape,
    Limit,
    Listed,
    Name,
    Number,
    Shape,
    Text,
    absent,
    input_shape,
    listed,
)
from comfyserve.services.records import VersionView, WorkflowView

router = APIRouter(tags=["workflows"], route_class=ApiRoute)

Editor = Annotated[
    dict[str, Any], Field(description="The workflow as the ComfyUI editor saves it; alone, it is converted.")
]
MACHINE = Field(None, description="The machine whose nodes the editor's form is converted with; else the local one.")


class NewWorkflow(Body):
    """A workflow and its first version; `graph` may hold the editor's form too."""

    name: Name
    graph: Graph | None = None
    editor: Editor | None = None
    machine_id: Id | None = MACHINE
    description: Text = ""


class NewVersion(Body):
    """One more version of a workflow."""

    graph: Graph | None = None
    editor: Editor | None = None
    machine_id: Id | None = MACHINE
    comment: Text = ""


class Workflow(Shape):
    """A named graph."""

    id: str
    name: str
    description: str
    created_at: Timestamp
    updated_at: Timestamp
    latest_version: int


class Version(Shape):
    """An immutable version; `graph` comes with a single version only."""

    id: str
    workflow_id: str
    version: int
    comment: str
    graph_hash: str
    created_at: Timestamp
    inputs: list[InputShape]
    graph: dict[str, Any] | None = Field(None, exclude_if=absent)


def workflow_shape(view: WorkflowView) -> Workflow:
    """The wire shape of a workflow."""
    return Workflow.model_construct(
        id=view.id,
        name=view.name,
        description=view.description,
        created_at=view.created_at,
        updated_at=view.updated_at,
        latest_version=view.latest_version,
    )


def version_shape(view: VersionView) -> Version:
    """The wire shape of a version, with its graph when the view has it."""
    return Version.model_construct(
        id=view.id,
        workflow_id=view.workflow_id,
        version=view.version,
        comment=view.comment,
        graph_hash=view.graph_hash,
        created_at=view.created_at,
        inputs=[input_shape(one) for one in view.inputs],
        graph=None if view.graph is None else dict(view.graph),
    )


@router.post("/workflows", status_code=201, response_model=Workflow)
async def create_workflow(request: Request, caller: SignedIn, body: NewWorkflow) -> Json:
    """Keep a graph under a name, as version 1."""
    workflow = await services_of(request).workflows.create(
        caller, body.name, body.graph, body.editor, body.description, machine_id=body.machine_id
    )
    return Json(workflow_shape(workflow), 201)


@router.get("/workflows", response_model=Listed[Workflow])
async def list_workflows(
    request: Request, caller: SignedIn, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Json:
    """The workflows, newest first."""
    return listed(await services_of(request).workflows.list(caller, limit=limit, cursor=cursor), workflow_shape)


@router.get("/workflows/{workflow_id}", response_model=Workflow)
async def get_workflow(request: Request, caller: SignedIn, workflow_id: str) -> Json:
    """One workflow."""
    return Json(workflow_shape(await services_of(request).workflows.get(caller, workflow_id)))


@router.post("/workflows/{workflow_id}/versions", status_code=201, response_model=Version)
async def add_version(request: Request, caller: SignedIn, workflow_id: str, body: NewVersion) -> Json:
    """Add a version; the ones before it stay as they are."""
    version = await services_of(request).workflows.add_version(
        caller, workflow_id, body.graph, body.editor, body.comment, body.machine_id
    )
    return Json(version_shape(version), 201)


@router.get("/workflows/{workflow_id}/versions", response_model=Listed[Version])
async def list_versions(
    request: Request, caller: SignedIn, workflow_id: str, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Json:
    """The versions, newest first, without their graphs."""
    page = await services_of(request).workflows.versions(caller, workflow_id, limit=limit, cursor=cursor)
    return listed(page, version_shape)


@router.get("/workflows/{workflow_id}/versions/{number}", response_model=Version)
async def get_version(request: Request, caller: SignedIn, workflow_id: str, number: Number) -> Json:
    """One version with its graph."""
    return Json(version_shape(await services_of(request).workflows.version(caller, workflow_id, number)))
