"""API keys of the caller's workspace."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response
from pydantic import Field

from comfyserve.apis.http.answers import Json, Timestamp
from comfyserve.apis.http.auth import SignedIn
from comfyserve.apis.http.bundle import services_of
from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.native.shapes import DEFAULT_LIMIT, Body, Cursor, Limit, Listed, Name, Shape, absent, listed
from comfyserve.core.limits import MAX_KEY_DAYS
from comfyserve.services.records import KeyView

router = APIRouter(tags=["keys"], route_class=ApiRoute)


class NewKeyBody(Body):
    """A key to make; without `expires_in_days` it works until it is revoked."""

    name: Name
    expires_in_days: float | None = Field(None, gt=0, le=MAX_KEY_DAYS)


class Key(Shape):
    """A key without its secret; `key` is the secret, shown once when it is made."""

    id: str
    name: str
    key: str | None = Field(None, exclude_if=absent)
    prefix: str
    created_at: Timestamp
    expires_at: Timestamp | None
    last_used_at: Timestamp | None


def key_shape(view: KeyView, secret: str | None = None) -> Key:
    """The wire shape of a key."""
    return Key.model_construct(
        id=view.id,
        name=view.name,
        key=secret,
        prefix=view.prefix,
        created_at=view.created_at,
        expires_at=view.expires_at,
        last_used_at=view.last_used_at,
    )


@router.post("/keys", status_code=201, response_model=Key)
async def create_key(request: Request, caller: SignedIn, body: NewKeyBody) -> Json:
    """Make a key; its secret is in this answer and nowhere else."""
    lasts = None if body.expires_in_days is None else timedelta(days=body.expires_in_days)
    made = await services_of(request).keys.create(caller, body.name, lasts)
    return Json(key_shape(made.key, made.secret), 201)


@router.get("/keys", response_model=Listed[Key])
async def list_keys(request: Request, caller: SignedIn, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Json:
    """The keys, newest first, without their secrets."""
    page = await services_of(request).keys.list(caller, limit=limit, cursor=cursor)
    return listed(page, key_shape)


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(request: Request, caller: SignedIn, key_id: str) -> Response:
    """Revoke a key; calls with it fail from now on."""
    await services_of(request).keys.revoke(caller, key_id)
    return Response(status_code=204)
