"""What holds for every request: origins, cache headers, compression, and how errors are told (spec section 1)."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from comfyserve.core.errors import DomainError
from comfyserve.embedded.engine import ENGINE
from comfyserve.embedded.routes.bodies import Respond, refusal
from comfyserve.embedded.settings import ServerSettings

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
SCRIPT_ENDINGS = (".js", ".css")
ONE_HOUR, ONE_DAY = 3600, 86400
NO_CACHE = "no-cache"
PICTURE_CACHING = {
    **dict.fromkeys((200, 201, 202, 203, 204, 205, 206, 301, 308), f"public, max-age={ONE_DAY}"),
    **dict.fromkeys((302, 303, 307), NO_CACHE),
    404: f"public, max-age={ONE_HOUR}",
}
"""Status of an answer to a picture's path -> its Cache-Control."""

EVERY_ORIGIN = "*"
COMPRESSED_TYPES = frozenset({"application/json", "text/plain"})
CORS_HEADERS = {
    "Access-Control-Allow-Methods": "POST, GET, DELETE, PUT, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Allow-Credentials": "true",
}


def middlewares(settings: ServerSettings) -> list[Middleware]:
    """The manners of one engine, outermost first."""
    chosen: list[Middleware] = [cache_control]
    if settings.compress:
        chosen.append(compress)
    if settings.cors_origin is not None:
        chosen.append(allow_origin(settings.cors_origin))
    if settings.cors_origin != EVERY_ORIGIN:
        chosen.append(guard_origin(settings.cors_origin))
    return [*chosen, tell_errors, enter_engine]


@web.middleware
async def cache_control(request: web.Request, handler: Respond) -> web.StreamResponse:
    """Scripts and indexes are asked for again each time, pictures under their own path are kept."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        _set_caching(request.path, error)
        raise
    _set_caching(request.path, response)
    return response


@web.middleware
async def compress(request: web.Request, handler: Respond) -> web.StreamResponse:
    """gzip for texts, if the client takes it."""
    response = await handler(request)
    accepts = "gzip" in request.headers.get("Accept-Encoding", "")
    if accepts and isinstance(response, web.Response) and response.content_type in COMPRESSED_TYPES and response.body:
        response.enable_compression()
    return response


def allow_origin(origin: str) -> Middleware:
    """Tell browsers that pages of this origin (* for all) may call the engine."""
    headers = {"Access-Control-Allow-Origin": origin, **CORS_HEADERS}

    @web.middleware
    async def allow(request: web.Request, handler: Respond) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(headers=headers)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(headers)
            raise
        # The head of a websocket is sent already.
        if not response.prepared:
            response.headers.update(headers)
        return response

    return allow


def guard_origin(allowed: str | None) -> Middleware:
    """Keep out the pages of every origin but our own and the allowed one.

    OPTIONS is always empty 200; a page of another origin gets 403 while we are on a loopback name. On a loopback
    address any other name is a page's that has bound it to us, and gets 403 as well.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Respond) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response()
        origin = request.headers.get("Origin")
        if allowed is not None and origin == allowed:
            return await handler(request)
        host = request.headers.get("Host")
        if host and not is_loopback(host) and _is_local(request):
            return web.Response(status=403)
        if host and origin and is_loopback(host) and origin.partition("://")[2].lower() != host.lower():
            return web.Response(status=403)
        return await handler(request)

    return guard


@web.middleware
async def tell_errors(request: web.Request, handler: Respond) -> web.StreamResponse:
    """A domain error is the caller's to mend: its own status and sentence."""
    try:
        return await handler(request)
    except DomainError as error:
        return refusal(error)


@web.middleware
async def enter_engine(request: web.Request, handler: Respond) -> web.StreamResponse:
    """Choices and validators of nodes look at the engine's files."""
    request.app[ENGINE].enter()
    return await handler(request)


def is_loopback(host: str) -> bool:
    """Whether a Host header (with or without port) names this machine's loopback."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost":
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_local(request: web.Request) -> bool:
    """Whether the request came in on a loopback address."""
    here = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return here is not None and ipaddress.ip_address(here[0]).is_loopback


def _set_caching(path: str, response: web.StreamResponse) -> None:
    name = path.rpartition("/")[2]
    wish = None
    if name.endswith(SCRIPT_ENDINGS) or (name.startswith("index") and name.endswith(".json")):
        wish = NO_CACHE
    elif name.lower().endswith(PICTURE_ENDINGS):
        wish = PICTURE_CACHING.get(response.status)
    if wish is not None and not response.prepared:
        response.headers.setdefault("Cache-Control", wish)
