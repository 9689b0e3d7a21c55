"""Serves the built pages: hashed files for ever, deep links as index.html, one sentence when nothing was built."""

import mimetypes
from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

BUILT = Path(__file__).parent / "_pages"
HASHED = "_app"
"""The folder of files whose names carry a hash (assetsDir of the page's build)."""

CSP = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
FOR_EVER = "public, max-age=31536000, immutable"
NOT_BUILT = "The pages are not built. In a checkout run script/setup; the API works without them, see /docs.\n"


class Pages:
    """An ASGI app over a folder of built pages. It answers GET and HEAD; other paths are the caller's `otherwise`."""

    def __init__(self, folder: Path = BUILT) -> None:
        self.folder = folder.resolve()

    def wants(self, scope: Scope) -> bool:
        """Whether this is a page view or a file of the pages."""
        if scope["method"] not in ("GET", "HEAD"):
            return False
        return self._file(scope["path"]) is not None or _is_page_view(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that `wants` said yes to."""
        await self._response(scope["path"])(scope, receive, send)

    def _response(self, path: str) -> Response:
        found = self._file(path)
        if found is not None and found.name != "index.html":
            hashed = found.is_relative_to(self.folder / HASHED)
            return _file_response(found, FOR_EVER if hashed else "no-cache")
        index = self.folder / "index.html"
        if not index.is_file():
            return PlainTextResponse(NOT_BUILT, 503, {"cache-control": "no-store"})
        return _file_response(index, "no-cache", {"content-security-policy": CSP})

    def _file(self, path: str) -> Path | None:
        try:
            found = (self.folder / path.lstrip("/")).resolve()
            return found if found.is_relative_to(self.folder) and found.is_file() else None
        except (OSError, ValueError):  # A name that no file can have: too long, or with a NUL in it.
            return None


def _is_page_view(scope: Scope) -> bool:
    accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
    last = scope["path"].rsplit("/", 1)[-1]
    return scope["path"] == "/" or (
        ("text/html" in accept and not scope["path"].startswith(f"/{HASHED}/"))
        and ("." not in last or not mimetypes.guess_type(last)[0])
    )


def _file_response(path: Path, cache: str, headers: dict[str, str] | None = None) -> FileResponse:
    return FileResponse(path, headers={"cache-control": cache, **(headers or {})})
