"""Workflows and versions (sections 3.2 and 6.4): JSON as text or as objects, V2 and both V1 forms on one route."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field, model_validator

from comfyserve.apis.comfydeploy.auth import TokenHolder
from comfyserve.apis.comfydeploy.paging import DEFAULT_LIMIT, Limit, Offset, Search, window
from comfyserve.apis.comfydeploy.wording import MACHINE, VERSION, WORKFLOW, missing
from comfyserve.apis.http.answers import Json, iso
from comfyserve.apis.http.bundle import Services, services_of
from comfyserve.apis.http.errors import MalformedJson
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.core.errors import Place
from comfyserve.core.limits import MAX_NAME, MAX_NUMBER, MAX_TEXT
from comfyserve.services.records import Caller, VersionView, WorkflowView

router = APIRouter(tags=["comfydeploy: workflows"], route_class=ApiRoute)

PREVIEW = "preview"
MAX_EMBEDDED = 20
JsonOrText = dict[str, Any] | str

Embedded = Annotated[int, Query(ge=1, le=MAX_EMBEDDED, alias="limit")]
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


class WorkflowBody(BaseModel):
    """A new workflow, or a new version of the one that `workflow_id` names."""

    name: str | None = Field(None, max_length=MAX_NAME)
    workflow_name: str | None = Field(None, max_length=MAX_NAME)
    workflow_id: UUID | None = None
    workflow_json: JsonOrText | None = None
    workflow: JsonOrText | None = None
    workflow_api: JsonOrText | None = None
    machine_id: UUID | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_id_is_none(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("workflow_id") == "":
            return {**raw, "workflow_id": None}
        return raw

    @model_validator(mode="after")
    def _complete(self) -> "WorkflowBody":
        if self.workflow_id is None and not (self.name or self.workflow_name):
            raise ValueError("name is required for a new workflow")
        if self.workflow_json is None and self.workflow is None and self.workflow_api is None:
            raise ValueError("workflow_json or workflow_api is required")
        return self


class VersionBody(BaseModel):
    """A new version."""

    workflow: JsonOrText | None = None
    workflow_api: JsonOrText | None = None
    comment: str | None = Field(None, max_length=MAX_TEXT)
    machine_id: UUID | None = None

    @model_validator(mode="after")
    def _complete(self) -> "VersionBody":
        if self.workflow is None and self.workflow_api is None:
            raise ValueError("workflow_api or workflow is required")
        return self


def parsed(field: str, value: JsonOrText | None) -> dict[str, Any] | None:
    """A graph that came as an object or as JSON text. Raises MalformedJson."""
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise MalformedJson("Invalid JSON format", place=Place(field=field)) from error
    if not isinstance(read, dict):
        raise MalformedJson("Invalid JSON format", place=Place(field=field))
    return read


def workflow_row(view: WorkflowView) -> dict[str, Any]:
    """The columns of a workflow."""
    return {
        "id": view.id,
        "user_id": view.created_by,
        "org_id": view.workspace_id,
        "name": view.name,
        "selected_machine_id": None,
        "description": view.description or None,
        "cover_image": None,
        "pinned": False,
        "deleted": False,
        "created_at": iso(view.created_at),
        "updated_at": iso(view.updated_at),
    }


def version_row(view: VersionView) -> dict[str, Any]:
    """The columns of a version."""
    return {
        "id": view.id,
        "workflow_id": view.workflow_id,
        "version": view.version,
        "workflow": None if view.editor is None else dict(view.editor),
        "workflow_api": None if view.graph is None else dict(view.graph),
        "user_id": view.created_by,
        "comment": view.comment,
        "snapshot": None,
        "dependencies": None,
        "machine_id": None,
        "machine_version_id": None,
        "comfyui_snapshot": None,
        "created_at": iso(view.created_at),
        "updated_at": iso(view.created_at),
    }


@router.post("/workflow")
async def create_workflow(request: Request, caller: TokenHolder, body: WorkflowBody) -> Json:
    """Create a workflow, or a version of one."""
    return Json(await _created(services_of(request), caller, body))


@router.post("/workflow/{workflow_id}/version")
async def create_version(request: Request, caller: TokenHolder, workflow_id: UUID, body: VersionBody) -> Json:
    """Add a version."""
    services = services_of(request)
    graph, editor = parsed("workflow_api", body.workflow_api), parsed("workflow", body.workflow)
    with missing(WORKFLOW):
        version = await services.workflows.add_version(
            caller, str(workflow_id), graph, editor, body.comment or "", _text(body.machine_id)
        )
    await _preview(services, caller, version.id, body.machine_id)
    return Json(version_row(version))


@router.get("/workflows")
async def list_workflows(
    request: Request, caller: TokenHolder, search: Search = "", limit: Limit = DEFAULT_LIMIT, offset: Offset = 0
) -> Json:
    """The workflows, newest first."""
    workflows = services_of(request).workflows
    found = await window(
        lambda cursor, size: workflows.list(caller, cursor=cursor, limit=size, search=search or None),
        limit=limit,
        offset=offset,
    )
    return Json([workflow_row(one) | {"user_name": None, "user_icon": None} for one in found])


@router.get("/workflow/{workflow_id}")
async def get_workflow(request: Request, caller: TokenHolder, workflow_id: UUID, embedded: Embedded = 1) -> Json:
    """A workflow with its newest versions."""
    workflows = services_of(request).workflows
    with missing(WORKFLOW):
        workflow = await workflows.get(caller, str(workflow_id))
    numbers = range(workflow.latest_version, max(workflow.latest_version - embedded, 0), -1)
    versions = [version_row(await workflows.version(caller, workflow.id, number)) for number in numbers]
    return Json(workflow_row(workflow) | {"versions": versions})


@router.get("/workflow/{workflow_id}/versions")
async def list_versions(
    request: Request,
    caller: TokenHolder,
    workflow_id: UUID,
    search: Search = "",
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
) -> Json:
    """The versions with their graphs, newest first."""
    return Json(await _versions(services_of(request), caller, str(workflow_id), search, limit, offset))


@router.get("/workflow/{workflow_id}/version/{number}")
async def get_version(request: Request, caller: TokenHolder, workflow_id: UUID, number: Number) -> Json:
    """One version by its number."""
    with missing(VERSION):
        return Json(version_row(await services_of(request).workflows.version(caller, str(workflow_id), number)))


@router.get("/workflow-version/{version_id}")
async def get_version_by_id(request: Request, caller: TokenHolder, version_id: UUID) -> Json:
    """One version by its id."""
    with missing(VERSION):
        return Json(version_row(await services_of(request).workflows.version_by_id(caller, str(version_id))))


async def _created(services: Services, caller: Caller, body: WorkflowBody) -> dict[str, Any]:
    editor = parsed("workflow_json", body.workflow_json if body.workflow_json is not None else body.workflow)
    graph = parsed("workflow_api", body.workflow_api)
    machine = _text(body.machine_id)
    if body.workflow_id is None:
        name = body.name or body.workflow_name or ""
        workflow = await services.workflows.create(caller, name, graph, editor, machine_id=machine)
    else:
        with missing(WORKFLOW):
            await services.workflows.add_version(caller, str(body.workflow_id), graph, editor, machine_id=machine)
            workflow = await services.workflows.get(caller, str(body.workflow_id))
    await _preview(services, caller, workflow.latest_version_id, body.machine_id)
    return {
        "workflow_id": workflow.id,
        "id": workflow.id,
        "name": workflow.name,
        "version": workflow.latest_version,
        "version_id": workflow.latest_version_id,
        "machine_id": machine,
        "created_at": iso(workflow.created_at),
        "updated_at": iso(workflow.updated_at),
    }


def _text(machine_id: UUID | None) -> str | None:
    return None if machine_id is None else str(machine_id)


async def _preview(services: Services, caller: Caller, version_id: str, machine_id: UUID | None) -> None:
    """A version that names its machine also becomes the workflow's preview deployment."""
    if machine_id is not None:
        with missing(MACHINE):
            await services.deployments.upsert(caller, version_id, str(machine_id), PREVIEW)


async def _versions(
    services: Services, caller: Caller, workflow_id: str, search: str, limit: int, offset: int
) -> list[dict[str, Any]]:
    workflows = services.workflows
    with missing(WORKFLOW):
        found = await window(
            lambda cursor, size: workflows.versions(caller, workflow_id, cursor=cursor, limit=size),
            limit=limit,
            offset=offset,
            keep=lambda version: search.lower() in version.comment.lower(),
        )
        return [version_row(await workflows.version(caller, workflow_id, one.version)) for one in found]
