"""An uploaded file, from a multipart part or from a raw body, as a stream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.requests import Request

from comfyserve.apis.http.errors import InvalidRequest
from comfyserve.core.errors import Place

CHUNK = 256 * 1024
ENVELOPE = 64 * 1024
"""Bytes of a multipart body around the file itself."""

UNKNOWN_MIME = "application/octet-stream"


@dataclass(frozen=True)
class Upload:
    """A file on its way in. `filename` and `mime` are the caller's words, not to be trusted."""

    filename: str
    mime: str
    content: AsyncIterator[bytes]


@asynccontextmanager
async def uploaded(request: Request, *, filename: str = "", field: str = "file") -> AsyncIterator[Upload]:
    """The file of a request. A multipart part larger than 1 MB waits on disk, a raw body streams through.

    Raises InvalidRequest when there is none.
    """
    mime = request.headers.get("content-type", "").strip()
    if not mime.lower().startswith("multipart/"):
        yield Upload(filename or "file", mime or UNKNOWN_MIME, _body(request))
        return
    async with request.form(max_files=1, max_fields=16) as form:
        part = form.get(field)
        if not isinstance(part, UploadFile):
            raise InvalidRequest(f"The form has no file in its part `{field}`.", place=Place(field=field))
        yield Upload(part.filename or filename or "file", part.content_type or UNKNOWN_MIME, _chunks(part))


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


async def _chunks(part: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await part.read(CHUNK):
        yield chunk
