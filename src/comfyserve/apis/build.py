"""The whole HTTP surface as one app: every wire API, health, files, docs, pages."""

from collections.abc import Sequence
from typing import Protocol

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from comfyserve.apis.comfydeploy.api import API as COMFYDEPLOY
from comfyserve.apis.http import files, health
from comfyserve.apis.http.aliases import Aliases
from comfyserve.apis.http.bundle import ApiOptions, Context, Services
from comfyserve.apis.http.docs import add_docs
from comfyserve.apis.http.errors import Faces, install, unknown_route
from comfyserve.apis.http.events import Slots
from comfyserve.apis.http.limits import BodyLimit
from comfyserve.apis.http.openapi import describe
from comfyserve.apis.http.requests import RequestLog
from comfyserve.apis.http.uploads import ENVELOPE
from comfyserve.apis.http.wire import WireApi
from comfyserve.apis.native.api import API as NATIVE

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
EXPOSED = ["x-request-id", "x-run-id", "x-run-status", "retry-after", "content-disposition", "content-range", "etag"]

APIS = (NATIVE, COMFYDEPLOY)
"""Every wire API of the platform; the first one shows the errors of the paths that belong to none."""

PRIVATE_PATHS = ("/files", "/docs")
"""Besides the wire APIs' prefixes: no page lives below these, so that an unknown path below them is told as an error,
also to a browser."""


class PageApp(Protocol):
    """The pages, as an ASGI app that says which requests are its own."""

    def wants(self, scope: Scope) -> bool:
        """Whether this is a page view or a file of the pages."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer such a request."""


def build_api(
    services: Services, options: ApiOptions, pages: PageApp | None = None, apis: Sequence[WireApi] = APIS
) -> FastAPI:
    """The app. It owns nothing: starting and closing the services is the caller's.

    `pages` answers what no route does, outside of the wire APIs' own paths.
    """
    faces = Faces([(api.prefix, api.face) for api in apis], apis[0].face)
    app = FastAPI(
        title="comfyserve",
        version=options.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        middleware=_middleware(options, faces, apis),
    )
    app.state.context = Context(services, options, Slots(options.max_streams))
    install(app, faces)
    for router in (*(api.router() for api in apis), files.router):
        app.include_router(router)
    if not any(api.alone for api in apis):
        app.include_router(health.router)
        add_docs(app)
    describe(app, {path: part for api in apis for path, part in api.documents.items()})
    app.router.default = _otherwise(faces, pages, (*(api.prefix for api in apis), *PRIVATE_PATHS))
    return app


def close_streams(app: FastAPI) -> None:
    """End the event streams: the server stops, and their readers can resume them later."""
    app.state.context.slots.closed.set()


def _middleware(options: ApiOptions, faces: Faces, apis: Sequence[WireApi]) -> list[Middleware]:
    uploads = frozenset(path for api in apis for path in api.upload_paths)

    def limit_of(scope: Scope) -> int:
        upload = scope["path"] in uploads
        return options.max_upload_bytes + ENVELOPE if upload else options.max_body_bytes

    return [
        Middleware(RequestLog, faces=faces, headers=SECURITY_HEADERS),
        Middleware(
            CORSMiddleware,
            allow_origins=options.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=7200,
        ),
        *(Middleware(Aliases, prefix=api.prefix, names=api.aliases) for api in apis if api.aliases),
        Middleware(BodyLimit, limit_of=limit_of, faces=faces),
    ]


def _otherwise(faces: Faces, pages: PageApp | None, private_prefixes: tuple[str, ...]) -> ASGIApp:
    async def otherwise(scope: Scope, receive: Receive, send: Send) -> None:
        private = scope["path"].startswith(private_prefixes)
        if pages is not None and not private and pages.wants(scope):
            await pages(scope, receive, send)
            return
        await faces.answer(scope, unknown_route(scope))(scope, receive, send)

    return otherwise
