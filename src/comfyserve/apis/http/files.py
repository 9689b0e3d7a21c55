"""GET /files/{asset_id}/{filename}: the bytes of an asset, for whoever holds its signed URL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.ranges import Span, matches, span_of
from comfyserve.services.records import AssetView

router = APIRouter(tags=["files"])

INLINE_PREFIXES = ("image/", "video/", "audio/")
INLINE = frozenset({"text/plain"})
NEVER_INLINE = frozenset({"image/svg+xml"})
MAX_AGE = 3600
HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cross-origin-resource-policy": "cross-origin",
    "accept-ranges": "bytes",
    "cache-control": f"private, max-age={MAX_AGE}, immutable",
}


def disposition(filename: str, mime: str, *, download: bool) -> str:
    """The Content-Disposition: media and plain text are shown, everything else is a download (RFC 6266)."""
    shown = (mime.startswith(INLINE_PREFIXES) or mime in INLINE) and mime not in NEVER_INLINE
    kind = "inline" if shown and not download else "attachment"
    return f"{kind}; filename*=utf-8''{quote(filename, safe='')}"


@router.head("/files/{asset_id}/{filename}", include_in_schema=False)
@router.get("/files/{asset_id}/{filename}")
async def get_file(
    request: Request,
    asset_id: str,
    filename: str,
    expires: Annotated[str, Query(max_length=32)] = "",
    sig: Annotated[str, Query(max_length=256)] = "",
    download: bool = False,
) -> Response:
    """The file, or a range of it. The signature in the URL is the permission."""
    files = services_of(request).files
    files.verify(asset_id, expires, sig)
    asset = await files.stored(asset_id)
    etag = f'"{asset.sha256}"'
    shown = disposition(asset.filename, asset.mime, download=download)
    headers = {**HEADERS, "etag": etag, "content-disposition": shown}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    span = _asked(request, asset, etag)
    return await _answer(request, asset, span, headers)


def _asked(request: Request, asset: AssetView, etag: str) -> Span | None:
    if request.headers.get("if-range", etag) != etag:
        return None
    return span_of(request.headers.get("range"), asset.size)


async def _answer(request: Request, asset: AssetView, span: Span | None, headers: dict[str, str]) -> Response:
    status, length = 200, asset.size
    if span is not None:
        status, length = 206, span.length
        headers["content-range"] = span.header(asset.size)
    headers["content-length"] = str(length)
    headers["content-type"] = asset.mime
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    stack = AsyncExitStack()
    start = span.start if span else 0
    content = await stack.enter_async_context(services_of(request).files.open(asset, start=start, length=length))
    return StreamingResponse(_sent(content, stack), status, headers)


async def _sent(content: AsyncIterator[bytes], stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in content:
            yield chunk
