"""Who calls: a token from a header, the query or the session cookie becomes a Caller."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from comfyserve.apis.http.bundle import services_of
from comfyserve.core.errors import Forbidden, Unauthorized
from comfyserve.services.records import Caller

SESSION_COOKIE = "comfyserve_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Token:
    """A token and where it came from."""

    value: str
    from_cookie: bool = False


def token_of(request: Request, *, query: str | None = None) -> Token | None:
    """The first token present: Authorization, x-api-key, the query parameter named `query`, the session cookie."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    found = bearer.strip() if scheme.lower() == "bearer" else ""
    found = found or request.headers.get("x-api-key", "")
    if query is not None:
        found = found or request.query_params.get(query, "")
    if found:
        return Token(found)
    cookie = request.cookies.get(SESSION_COOKIE, "")
    return Token(cookie, from_cookie=True) if cookie else None


def check_same_origin(request: Request) -> None:
    """Raise Forbidden when a browser sent its cookie along on another site's behalf: to change something, or to read
    it with a script, which is when a browser names its origin."""
    origin = request.headers.get("origin")
    if request.method in SAFE_METHODS and origin is None:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        same = site in ("same-origin", "none")
    else:
        host = (origin or "").partition("://")[2]
        same = bool(host) and host == request.headers.get("host")
    if not same:
        raise Forbidden("A call with the session cookie must come from this server's own pages; use an API key.")


async def authenticate(request: Request, *, query: str | None = None) -> Caller:
    """The caller. Raises Unauthorized, and Forbidden for a cookie from another site."""
    token = token_of(request, query=query)
    if token is None:
        raise Unauthorized("This call needs a key: send `Authorization: Bearer <key>`.", details={"reason": "missing"})
    if token.from_cookie:
        check_same_origin(request)
    return await services_of(request).keys.authenticate(token.value)


async def _caller(request: Request) -> Caller:
    return await authenticate(request)


SignedIn = Annotated[Caller, Depends(_caller)]
"""The caller of a native route."""
