"""Who I am, and signing in and out of the pages."""

from fastapi import APIRouter, Request, Response
from pydantic import Field, model_validator

from comfyserve.apis.http.answers import Json
from comfyserve.apis.http.auth import SESSION_COOKIE, SignedIn
from comfyserve.apis.http.bundle import Context, context_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.native.shapes import Body, Shape
from comfyserve.core.limits import MAX_TOKEN
from comfyserve.services.records import Caller

router = APIRouter(tags=["session"], route_class=ApiRoute)


class SignIn(Body):
    """The one-time token of a sign-in link, or an API key."""

    token: str | None = Field(None, min_length=1, max_length=MAX_TOKEN)
    key: str | None = Field(None, min_length=1, max_length=MAX_TOKEN)

    @model_validator(mode="after")
    def _one_of(self) -> "SignIn":
        if (self.token is None) == (self.key is None):
            raise ValueError("give either `token` or `key`")
        return self


class WorkspaceShape(Shape):
    """The workspace that the key belongs to."""

    id: str
    name: str


class CallerKey(Shape):
    """The key that was used."""

    id: str
    name: str
    kind: str


class Me(Shape):
    """Who calls, and whom they reached."""

    workspace: WorkspaceShape
    key: CallerKey
    version: str
    public_url: str


def me_shape(caller: Caller, context: Context) -> Me:
    """The wire shape of a caller."""
    return Me(
        workspace=WorkspaceShape(id=caller.workspace_id, name=caller.workspace_name),
        key=CallerKey(id=caller.key_id, name=caller.name, kind=caller.kind),
        version=context.options.version,
        public_url=context.options.public_url,
    )


@router.get("/me", response_model=Me)
async def me(request: Request, caller: SignedIn) -> Json:
    """Who I am."""
    return Json(me_shape(caller, context_of(request)))


@router.post("/session", response_model=Me)
async def sign_in(request: Request, body: SignIn) -> Json:
    """Start a session: sets a cookie that page scripts cannot read."""
    context = context_of(request)
    keys = context.services.keys
    secret, caller = await (keys.redeem(body.token) if body.token else keys.sign_in_with_key(str(body.key)))
    answer = Json(me_shape(caller, context))
    answer.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=context.options.session_seconds,
        httponly=True,
        samesite="lax",
        secure=context.options.public_url.startswith("https:"),
    )
    return answer


@router.delete("/session", status_code=204)
async def sign_out(request: Request, caller: SignedIn) -> Response:
    """End the session of the cookie."""
    await context_of(request).services.keys.end_session(request.cookies.get(SESSION_COOKIE, ""))
    answer = Response(status_code=204)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
    return answer
