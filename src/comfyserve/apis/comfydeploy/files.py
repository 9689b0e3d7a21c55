"""POST /file/upload (section 3.11)."""

from fastapi import APIRouter, Request

from comfyserve.apis.comfydeploy.auth import TokenHolder
from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.bundle import context_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.http.uploads import uploaded
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.media import type_of

router = APIRouter(tags=["comfydeploy: files"], route_class=ApiRoute)

ALLOWED = ("image/", "video/", "application/", "audio/")
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            }
        },
    }
}


def allowed_mime(filename: str) -> str:
    """The media type that the file's name says. Raises InvalidInput for a kind that is not taken."""
    mime = type_of(filename) or ""
    if not mime.startswith(ALLOWED):
        raise InvalidInput("Unsupported file type", place=Place(field="file"))
    return mime


@router.post("/file/upload", openapi_extra=UPLOAD_BODY)
async def upload_file(request: Request, caller: TokenHolder) -> Json:
    """Store a file; `file_url` can be given as an input."""
    context = context_of(request)
    limit = context.options.max_upload_bytes
    async with uploaded(request) as part:
        mime = allowed_mime(part.filename)
        asset = await context.services.files.upload(caller, part.filename, mime, part.content, limit)
    told = {"message": "File uploaded successfully", "file_id": asset.id}
    return Json({**told, "file_name": asset.filename, "file_url": asset.url})
