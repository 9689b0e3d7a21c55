"""Machines: where graphs run. Read only for now."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.native.shapes import Listed, Shape, absent, listed
from comfyserve.services.records import MachineView, Page

router = APIRouter(tags=["machines"], route_class=ApiRoute)


class Machine(Shape):
    """An environment that runs graphs, with how much waits for it now."""

    id: str
    name: str
    kind: str
    status: str
    workers: int
    queued: int
    running: int
    error: dict[str, Any] | None = Field(None, exclude_if=absent)


def machine_shape(view: MachineView) -> Machine:
    """The wire shape of a machine."""
    return Machine.model_construct(
        id=view.id,
        name=view.name,
        kind=view.kind,
        status=view.status,
        workers=view.workers,
        queued=view.queued,
        running=view.running,
        error=None if view.error is None else dict(view.error),
    )


@router.get("/machines", response_model=Listed[Machine])
async def list_machines(request: Request, caller: SignedIn) -> Json:
    """The machines, all on one page."""
    machines = await services_of(request).machines.list(caller)
    return listed(Page(machines, None), machine_shape)


@router.get("/machines/{machine_id}", response_model=Machine)
async def get_machine(request: Request, caller: SignedIn, machine_id: str) -> Json:
    """One machine."""
    return Json(machine_shape(await services_of(request).machines.get(caller, machine_id)))
