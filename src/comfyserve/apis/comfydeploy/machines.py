"""Machines, read only (section 3.3)."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request

from comfyserve.apis.comfydeploy.auth import TokenHolder
from comfyserve.apis.comfydeploy.paging import DEFAULT_LIMIT, Limit, Offset, Search
from comfyserve.apis.comfydeploy.statuses import MACHINE_STATUS, MACHINE_TYPE
from comfyserve.apis.comfydeploy.wording import MACHINE, missing
from comfyserve.apis.http.answers import Json, iso
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.services.records import MachineView

router = APIRouter(tags=["comfydeploy: machines"], route_class=ApiRoute)

BUILDER_VERSION = "4"


def machine_row(view: MachineView) -> dict[str, Any]:
    """A machine as lists show it."""
    return {
        "id": view.id,
        "user_id": view.workspace_id,
        "name": view.name,
        "created_at": iso(view.created_at),
        "updated_at": iso(view.updated_at),
        "type": MACHINE_TYPE,
        "org_id": view.workspace_id,
        "status": MACHINE_STATUS[view.status],
        "gpu": None,
        "machine_version": None,
        "machine_builder_version": BUILDER_VERSION,
        "comfyui_version": None,
        "import_failed_logs": None,
        "machine_version_id": None,
        "is_workspace": False,
    }


def machine_object(view: MachineView) -> dict[str, Any]:
    """A machine on its own; what we do not have is null, empty or the documented default."""
    nothing = (
        "docker_command_steps",
        "base_docker_image",
        "python_version",
        "extra_args",
        "prestart_command",
        "cpu_request",
        "cpu_limit",
        "memory_request",
        "memory_limit",
    )
    return (
        machine_row(view)
        | dict.fromkeys(nothing)
        | {
            "deleted": False,
            "endpoint": "",
            "concurrency_limit": view.workers,
            "run_timeout": 300,
            "idle_timeout": 60,
            "keep_warm": view.workers,
            "allow_concurrent_inputs": 1,
            "install_custom_node_with_gpu": False,
            "optimized_runner": False,
            "disable_metadata": True,
            "models_to_cache": [],
            "enable_gpu_memory_snapshot": False,
        }
    )


@router.get("/machines")
async def list_machines(
    request: Request, caller: TokenHolder, search: Search = "", limit: Limit = DEFAULT_LIMIT, offset: Offset = 0
) -> Json:
    """The machines."""
    found = [one for one in await services_of(request).machines.list(caller) if search.lower() in one.name.lower()]
    return Json([machine_row(one) for one in found[offset : offset + limit]])


@router.get("/machine/{machine_id}")
async def get_machine(request: Request, caller: TokenHolder, machine_id: UUID) -> Json:
    """One machine."""
    with missing(MACHINE):
        return Json(machine_object(await services_of(request).machines.get(caller, str(machine_id))))
