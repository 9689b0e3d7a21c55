"""GET /files/{asset_id}/{filename}: the bytes of an asset, for whoever holds its signed URL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.ranges import Span, matches, span_of
from comfyserve.core.disposition import disposition, shown_inline
from comfyserve.services.records import AssetView

router = APIRouter(tags=["files"])

MAX_AGE = 3600
REDIRECT_MAX_AGE = 600
HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cross-origin-resource-policy": "cross-origin",
    "accept-ranges": "bytes",
    "cache-control": f"private, max-age={MAX_AGE}, immutable",
}

REDIRECT_HEADERS = {
    "cache-control": f"private, max-age={REDIRECT_MAX_AGE}",
    "vary": "sec-fetch-site, sec-fetch-mode",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "cross-origin",
}


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
    """The file, or a range of it; or where the storage serves it. The signature in the URL is the permission."""
    files = services_of(request).files
    files.verify(asset_id, expires, sig)
    asset = await files.stored(asset_id)
    etag = f'"{asset.sha256}"'
    headers = _headers(asset, etag, download=download)
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    span = _asked(request, asset, etag)
    if _may_follow(request, asset, download=download) and (link := await files.link(asset)) is not None:
        return RedirectResponse(link, 307, REDIRECT_HEADERS)
    return await _answer(request, asset, span, headers)


def _headers(asset: AssetView, etag: str, *, download: bool) -> dict[str, str]:
    shown = disposition(asset.filename, asset.mime, download=download)
    return {**HEADERS, "etag": etag, "content-disposition": shown}


def _may_follow(request: Request, asset: AssetView, *, download: bool) -> bool:
    """Whether a redirect to another host gives the same file to this client.

    Our own pages load from our host only (their Content-Security-Policy), scripts of other sites could not read what
    a bucket sends (CORS), a link signed for GET answers no HEAD, and one to something shown cannot make it a download.
    """
    if request.method == "HEAD" or (download and shown_inline(asset.mime)):
        return False
    headers = request.headers
    return headers.get("sec-fetch-site") != "same-origin" and headers.get("sec-fetch-mode") != "cors"


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
