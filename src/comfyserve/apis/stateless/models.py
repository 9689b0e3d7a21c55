"""GET /models: the names of the engine's models by their type (stateless-comfyui-api.md section 1.3)."""

from fastapi import APIRouter, Request

from comfyserve.apis.http.routing import ApiRoute
from comfyserve.apis.stateless.bodies import JsonAnswer
from comfyserve.apis.stateless.options import SignedIn, stateless_of

router = APIRouter(tags=["models"], route_class=ApiRoute)


@router.get("/models", summary="List Models", response_model=dict[str, list[str]])
async def models(request: Request, caller: SignedIn) -> JsonAnswer:
    """The models that the engine offers now, and the folders of models that it does not tell of."""
    found = await stateless_of(request).models()
    return JsonAnswer({kind: list(names) for kind, names in found.items()})
