"""Graphs: what a workflow file holds, before anything is made of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.http.uploads import uploaded
from comfyserve.apis.native.assets import UPLOAD_BODY
from comfyserve.apis.native.shapes import InputShape, Shape, input_shape
from comfyserve.core.limits import MAX_NAME

router = APIRouter(tags=["workflows"], route_class=ApiRoute)

MachineId = Annotated[
    str | None, Query(max_length=MAX_NAME, description="Whose nodes decide; else the local machine's.")
]


class WorkflowFile(Shape):
    """A workflow as a file has it; `graph` and `editor` can be sent as they are to make a workflow."""

    graph: dict[str, Any]
    editor: dict[str, Any] | None
    inputs: list[InputShape]


@router.post("/graphs", response_model=WorkflowFile, openapi_extra=UPLOAD_BODY)
async def read_graph(request: Request, caller: SignedIn, machine_id: MachineId = None) -> Json:
    """Read a workflow file: JSON in either form, or a picture, video or sound that ComfyUI saved with its workflow.

    It may be as large as a JSON request (`max_body_bytes`), as it is read in memory.
    """
    async with uploaded(request) as part:
        data = b"".join([chunk async for chunk in part.content])
    found = await services_of(request).forms.read(caller, data, machine_id)
    inputs = [input_shape(one) for one in found.inputs]
    editor = None if found.editor is None else dict(found.editor)
    return Json(WorkflowFile.model_construct(graph=dict(found.graph), editor=editor, inputs=inputs))
