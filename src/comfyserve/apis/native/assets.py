"""Assets: files that callers upload and runs make."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from comfyserve.apis.http.answers import Json, Timestamp
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import context_of, services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.http.uploads import uploaded
from comfyserve.apis.native.shapes import DEFAULT_LIMIT, Cursor, Limit, Listed, Shape, listed
from comfyserve.services.records import AssetView

router = APIRouter(tags=["assets"], route_class=ApiRoute)

UPLOAD_PATH = "/v1/assets"
BINARY = {"type": "string", "format": "binary"}
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": BINARY}, "required": ["file"]}},
            "application/octet-stream": {"schema": BINARY},
        },
    }
}


class Asset(Shape):
    """A stored file; `url` works for a limited time."""

    id: str
    filename: str
    mime: str
    size: int
    sha256: str
    url: str
    created_at: Timestamp


def asset_shape(view: AssetView) -> Asset:
    """The wire shape of an asset."""
    return Asset.model_construct(
        id=view.id,
        filename=view.filename,
        mime=view.mime,
        size=view.size,
        sha256=view.sha256,
        url=view.url,
        created_at=view.created_at,
    )


@router.post("/assets", status_code=201, response_model=Asset, openapi_extra=UPLOAD_BODY)
async def create_asset(
    request: Request, caller: SignedIn, filename: Annotated[str, Query(max_length=255)] = ""
) -> Json:
    """Store a file: a multipart part `file`, or the raw body with its Content-Type and `?filename=`."""
    context = context_of(request)
    limit = context.options.max_upload_bytes
    async with uploaded(request, filename=filename) as part:
        asset = await context.services.files.upload(caller, part.filename, part.mime, part.content, limit)
    return Json(asset_shape(asset), 201)


@router.get("/assets", response_model=Listed[Asset])
async def list_assets(request: Request, caller: SignedIn, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Json:
    """The assets, newest first."""
    page = await services_of(request).files.list(caller, limit=limit, cursor=cursor)
    return listed(page, asset_shape)


@router.get("/assets/{asset_id}", response_model=Asset)
async def get_asset(request: Request, caller: SignedIn, asset_id: str) -> Json:
    """One asset with a fresh URL."""
    return Json(asset_shape(await services_of(request).files.get(caller, asset_id)))


@router.delete("/assets/{asset_id}", status_code=204)
async def delete_asset(request: Request, caller: SignedIn, asset_id: str) -> Response:
    """Remove a file that was uploaded; one that a run made or was sent with goes with its run, and answers 409."""
    await services_of(request).files.remove(caller, asset_id)
    return Response(status_code=204)
